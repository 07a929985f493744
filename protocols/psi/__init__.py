"""Private membership: who is on a department's list, asked without showing the name (RFC 9497).

Read in this order: ``group`` (ristretto255 in batches), ``voprf`` (blind, evaluate, prove), ``tags`` (from an
evaluated element to the tag in a published set), ``publication`` (the set, its checks, and evidence for one
line), ``golomb`` (the form in which a set is downloaded).
"""
