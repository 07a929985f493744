"""The ledger: canonical bytes, entries, one contract, one Merkle log, its engines and its offline verifier.

Everything above the ordering is the same on every engine: an ordered entry is a leaf of an RFC 6962 tree,
every node replays it through the contract, witnesses cosign checkpoints, and a receipt is a tlog-proof. The
file formats are those of the C2SP specifications. Nothing personal reaches this package.
"""
