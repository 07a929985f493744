"""gRPC messages and generated stubs of the protocols package; see the .proto files for who sends what."""
