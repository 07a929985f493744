"""gRPC between nodes: one port a member, mutual TLS 1.3, peers recognised by their authority."""
