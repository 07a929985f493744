"""Rules of consents and of what is recorded about cases: commitments and codes, never content.

The registrar commits to consents and revokes them or a certificate, each once. A certificate may be revoked
before its intent arrives; the intent is then refused. ``case.decision``, ``complaint``, ``correction`` and
``incident`` are kept as entries only: nothing later depends on them.
"""

from __future__ import annotations

from ledger.contract.context import Context, require


def commit_consents(ctx: Context) -> None:
    """Record salted commitments of consents."""
    mark = {"entry": ctx.entry.id}
    for commitment in ctx.body["commitments"]:
        ctx.put_new(
            f"consent/{commitment}", mark, "consent_exists", "commit to each consent once, with a fresh salt"
        )


def revoke_consent(ctx: Context) -> None:
    """Record that a consent was taken back."""
    commitment = ctx.body["commitment"]
    known = ctx.state.get(f"consent/{commitment}") is not None
    require(known, "consent_unknown", "revoke a consent that was committed here")
    remedy = "the consent is revoked already"
    ctx.put_new(f"consent-revoked/{commitment}", {"entry": ctx.entry.id}, "consent_revoked", remedy)


def revoke_certificate(ctx: Context) -> None:
    """Record that a certificate no longer holds, through all its renewals."""
    remedy = "the certificate is revoked already"
    where = f"certificate-revoked/{ctx.body['digest']}"
    ctx.put_new(where, {"entry": ctx.entry.id}, "certificate_revoked", remedy)


def note(ctx: Context) -> None:
    """Keep the entry; its form and signature are all the contract asks."""
