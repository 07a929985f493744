"""gRPC messages and generated stubs of the node package; see the .proto files for who sends what."""
