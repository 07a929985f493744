"""gRPC services of a node: they convert messages and call use cases."""
