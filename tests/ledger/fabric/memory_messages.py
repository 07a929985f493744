"""What the in-memory Fabric says: names, identities, transactions and read-write sets like real ones."""

from __future__ import annotations

import hashlib
import queue
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from fabric_protos.common import common_pb2
from fabric_protos.ledger.rwset import rwset_pb2
from fabric_protos.ledger.rwset.kvrwset import kv_rwset_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import (
    chaincode_pb2,
    chaincode_shim_pb2,
    proposal_pb2,
    proposal_response_pb2,
    transaction_pb2,
)

from keys import msp

CHANNEL = "hedui"
CHAINCODE = "hedui"
PACKAGE = "hedui:0123456789abcdef"
ORGANISATIONS = ("Org1MSP", "Org2MSP")
BATCH_SECONDS = 0.01
Kind: Any = chaincode_shim_pb2.ChaincodeMessage
Code: Any = transaction_pb2.TxValidationCode
OFFER: Any = chaincode_pb2.ChaincodeAdditionalParams(
    use_write_batch=True, max_size_write_batch=7, use_get_multiple_keys=True, max_size_get_multiple_keys=7
)
"""What a peer of 3.1 takes at once; small, so that an intent needs several messages."""
OLD_OFFER: Any = chaincode_pb2.ChaincodeAdditionalParams()
"""What an older peer says: each key by itself."""


def issue(name: str) -> tuple[bytes, bytes]:
    """A self-signed certificate and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), pem


@dataclass
class Fault:
    """How one call fails: before it does anything, or after it did everything."""

    code: grpc.StatusCode
    text: str = "injected"
    details: tuple[str, ...] = ()
    after: bool = False
    msp: str = ""


@dataclass
class Simulation:
    """Reads and writes of one transaction on one peer."""

    reads: dict[str, tuple[int, int] | None] = field(default_factory=dict)
    writes: dict[str, bytes] = field(default_factory=dict)
    answer: queue.SimpleQueue[Any] = field(default_factory=queue.SimpleQueue)


@dataclass(frozen=True)
class Parts:
    """A proposal or transaction taken apart."""

    channel: Any
    signature: Any
    header: Any
    payload: bytes
    args: tuple[bytes, ...]
    chaincode: str

    @classmethod
    def of(cls, header: bytes, payload: bytes) -> Parts:
        head = common_pb2.Header.FromString(header)
        channel = common_pb2.ChannelHeader.FromString(head.channel_header)
        body = proposal_pb2.ChaincodeProposalPayload.FromString(payload)
        spec = chaincode_pb2.ChaincodeInvocationSpec.FromString(body.input).chaincode_spec
        extension = proposal_pb2.ChaincodeHeaderExtension.FromString(channel.extension)
        signature = common_pb2.SignatureHeader.FromString(head.signature_header)
        return cls(channel, signature, head, payload, tuple(spec.input.args), extension.chaincode_id.name)

    @property
    def hash(self) -> bytes:
        return hashlib.sha256(
            self.header.channel_header + self.header.signature_header + self.payload
        ).digest()

    def check(self, data: bytes, signature: bytes) -> None:
        """Signature, transaction id, channel."""
        creator = identities_pb2.SerializedIdentity.FromString(self.signature.creator)
        msp.verify(creator.id_bytes, data, signature)
        expected = hashlib.sha256(self.signature.nonce + self.signature.creator).hexdigest()
        assert self.channel.tx_id == expected
        assert self.channel.channel_id == CHANNEL


def read_write_set(one: Simulation) -> bytes:
    """What a simulation read and wrote, as its endorsement says it."""
    inner = kv_rwset_pb2.KVRWSet()
    for key in sorted(one.reads):
        version = one.reads[key]
        read = inner.reads.add(key=key)
        if version is not None:
            read.version.block_num, read.version.tx_num = version
    for key in sorted(one.writes):
        inner.writes.add(key=key, value=one.writes[key])
    outer = rwset_pb2.TxReadWriteSet()
    outer.ns_rwset.add(namespace=CHAINCODE, rwset=inner.SerializeToString())
    data: bytes = outer.SerializeToString()
    return data


def parse_read_write_set(data: bytes) -> tuple[dict[str, tuple[int, int] | None], dict[str, bytes]]:
    inner = kv_rwset_pb2.KVRWSet.FromString(rwset_pb2.TxReadWriteSet.FromString(data).ns_rwset[0].rwset)
    reads = {
        read.key: (read.version.block_num, read.version.tx_num) if read.HasField("version") else None
        for read in inner.reads
    }
    return reads, {write.key: write.value for write in inner.writes}


def prepare(signed: Any, answer: bytes, endorsers: list[str]) -> Any:
    proposal = proposal_pb2.Proposal.FromString(signed.proposal_bytes)
    header = common_pb2.Header.FromString(proposal.header)
    endorsements = [
        proposal_response_pb2.Endorsement(endorser=name.encode(), signature=b"-") for name in endorsers
    ]
    action = transaction_pb2.ChaincodeActionPayload(
        chaincode_proposal_payload=proposal.payload,
        action=transaction_pb2.ChaincodeEndorsedAction(
            proposal_response_payload=answer, endorsements=endorsements
        ),
    )
    transaction = transaction_pb2.Transaction(
        actions=[
            transaction_pb2.TransactionAction(
                header=header.signature_header, payload=action.SerializeToString()
            )
        ]
    )
    payload = common_pb2.Payload(header=header, data=transaction.SerializeToString())
    return common_pb2.Envelope(payload=payload.SerializeToString())
