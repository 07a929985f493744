"""The registrar: consents and certificates."""
