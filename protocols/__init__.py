"""Cryptographic protocols as sans-IO steps: bytes and numbers in, bytes and numbers out.

No socket, file, clock or database is used here; randomness comes from ``secrets`` or is passed in.
"""
