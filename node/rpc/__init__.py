"""gRPC between nodes: one port per member, mutual TLS 1.3, peers recognised by their authority."""
