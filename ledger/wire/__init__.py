"""gRPC messages and generated stubs of the ledger package; see the .proto files for who sends what."""
