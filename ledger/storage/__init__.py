"""The ledger's database: trees, contract state, witness records and repair."""
