"""The ledger on Hyperledger Fabric: the contract as chaincode, the log derived from a peer's blocks.

    profile      where the own peer is and as whom to speak
    identity     signed bytes of a Fabric identity
    gateway      endorse, submit, commit status, evaluate
    shim         chaincode as a service: messages between a peer and the contract; chaincode_server serves it
    chaincode    the contract on that shim
    blocks       the own peer's blocks, and which leaves they hold
    derived      the log those leaves make, in this node's database
    assembler    signs and publishes that log, at the member that holds the log key
    cosigning    a witness that signs only what its own peer shows too
    backend      append, verify, read, head

``docs/guides/fabric.md`` says how to run it, ADR 0019 why it is built so.
"""
