"""The edge between nodes: one gRPC port a member, mutual TLS 1.3, members known by the ledger's pins."""
