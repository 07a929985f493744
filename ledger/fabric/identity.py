"""What a Fabric identity signs: proposals, prepared transactions and requests, as a peer reads them.

    creator         SerializedIdentity {mspid, certificate PEM}
    transaction id  hex SHA-256(nonce ‖ creator), nonce 24 fresh random bytes
    proposal        Proposal {header {channel, signature}, payload {invocation spec}}, signed whole
    transaction     Envelope {payload, signature}: the payload as the Gateway prepared it, signed as it came
    seek            Envelope over a SeekInfo, for the Deliver service

Signatures are ``keys.msp``'s. Protobuf bytes are made once and signed as they are; nothing is encoded twice.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from keys.msp import MspKey
from ledger.fabric.profile import ConnectionProfile

NONCE_BYTES = 24
CHANNEL_VERSION = 1


@dataclass(frozen=True)
class Proposal:
    """A transaction that asks to be endorsed.

    Attributes:
        transaction: its id, 64 hex characters.
        signed: the SignedProposal message.
    """

    transaction: str
    signed: Any


class FabricIdentity:
    """A member's client identity: certificate and key of one MSP."""

    def __init__(self, msp: str, certificate: bytes, key: bytes, now: Callable[[], int]) -> None:
        """Read certificate and key, PEM both.

        Args:
            msp: id of the MSP.
            certificate, key: PEM.
            now: POSIX seconds, for the time stamps of what is signed.

        Raises:
            KeysError: one is malformed, or they do not belong together.
        """
        self._key = MspKey(key)
        self._key.check_certificate(certificate)
        self._now = now
        self.msp = msp
        self.creator: bytes = identities_pb2.SerializedIdentity(
            mspid=msp, id_bytes=certificate
        ).SerializeToString()

    @classmethod
    def of(cls, profile: ConnectionProfile, now: Callable[[], int]) -> FabricIdentity:
        """The identity a profile names.

        Raises:
            KeysError: its files are malformed, or do not belong together.
        """
        return cls(profile.msp, profile.certificate, profile.key, now)

    def sign(self, message: bytes) -> bytes:
        """DER signature over ``message``."""
        return self._key.sign(message)

    def proposal(self, profile: ConnectionProfile, args: Sequence[bytes]) -> Proposal:
        """A fresh signed proposal to call the profile's chaincode; the first argument names the function."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        transaction = hashlib.sha256(nonce + self.creator).hexdigest()
        chaincode = chaincode_pb2.ChaincodeID(name=profile.chaincode)
        extension = proposal_pb2.ChaincodeHeaderExtension(chaincode_id=chaincode)
        header = self._header(
            common_pb2.ENDORSER_TRANSACTION,
            profile.channel,
            nonce,
            tx_id=transaction,
            extension=extension.SerializeToString(),
        )
        spec = chaincode_pb2.ChaincodeSpec(
            chaincode_id=chaincode, input=chaincode_pb2.ChaincodeInput(args=list(args))
        )
        invocation = chaincode_pb2.ChaincodeInvocationSpec(chaincode_spec=spec)
        payload = proposal_pb2.ChaincodeProposalPayload(input=invocation.SerializeToString())
        data = proposal_pb2.Proposal(
            header=header.SerializeToString(), payload=payload.SerializeToString()
        ).SerializeToString()
        return Proposal(
            transaction, proposal_pb2.SignedProposal(proposal_bytes=data, signature=self.sign(data))
        )

    def seek(self, channel: str, info: bytes) -> Any:
        """A signed envelope that asks the Deliver service for blocks; ``info`` is a SeekInfo."""
        header = self._header(common_pb2.DELIVER_SEEK_INFO, channel, secrets.token_bytes(NONCE_BYTES))
        payload = common_pb2.Payload(header=header, data=info).SerializeToString()
        return common_pb2.Envelope(payload=payload, signature=self.sign(payload))

    def _header(self, kind: int, channel: str, nonce: bytes, **more: Any) -> Any:
        moment = Timestamp(seconds=self._now())
        channel_header = common_pb2.ChannelHeader(
            type=kind, version=CHANNEL_VERSION, timestamp=moment, channel_id=channel, **more
        )
        signature_header = common_pb2.SignatureHeader(creator=self.creator, nonce=nonce)
        return common_pb2.Header(
            channel_header=channel_header.SerializeToString(),
            signature_header=signature_header.SerializeToString(),
        )
