"""Keys of a member: what kinds there are, how they are kept, how a peer is recognised by them.

    signing        signatures by named algorithm (Ed25519 now), key ids
    sealing        messages for one key holder (HPKE, RFC 9180)
    vault          secrets encrypted at rest under a passphrase
    tls            one certificate authority a member, server and client identities, who is at the other end
    msp            signatures of a Fabric identity (ECDSA P-256, low s)
    certificates   the checks behind ``tls``
    errors         every error of this package

The package imports nothing else of this project, reads no environment and starts nothing on import.
"""
