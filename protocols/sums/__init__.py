"""Household totals: threshold Paillier on gmpy2, and the formats it shares with python-paillier."""
