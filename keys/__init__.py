"""Keys of a member: signing, encryption, storage of secrets, and TLS certificates that identify a member.

    signing             signatures by named algorithm (at present Ed25519), key ids
    bulk                verification of many Ed25519 signatures
    sealing             messages that one key holder can decrypt (HPKE, RFC 9180)
    wrapping            a key encrypted under a passphrase
    vault               secrets encrypted at rest under a passphrase
    sealedfile          a file of any length encrypted under a passphrase
    tls                 a certificate authority for each member; server and client certificates
    certificate_checks  checks of a peer's certificate
    msp                 signatures of a Fabric identity (ECDSA P-256, low s)
    errors              every error of this package

The package imports nothing else of this project, reads no environment and starts nothing on import.
"""
