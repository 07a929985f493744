"""Connection profile: a TOML file that names the own peer and the client identity that calls it.

    channel = "hedui"
    chaincode = "hedui"
    [organisation]
    msp = "Org1MSP"
    [peer]
    endpoint = "127.0.0.1:7051"
    name = "peer0.org1.example"        the name in the peer's TLS certificate; the endpoint's host when absent
    ca = "peer-tls-ca.pem"             may be absent on a loopback address only: then without TLS
    [client]
    certificate = "client.pem"
    key = "client.key"                 ECDSA P-256, PKCS#8 PEM
    [limits]                           optional, seconds
    endorse = 15
    submit = 10
    commit = 30

Paths are relative to the file. Unknown names are refused, so that a misspelt
name does not silently leave the default.

``FabricIdentity`` signs proposals, prepared transactions and requests in the form that a peer reads:

    creator         SerializedIdentity {mspid, certificate PEM}
    transaction id  hex SHA-256(nonce ‖ creator), nonce 24 fresh random bytes
    proposal        Proposal {header {channel, signature}, payload {invocation spec}}, signed whole
    transaction     Envelope {payload, signature}: the payload as the Gateway prepared it, signed as it came
    seek            Envelope over a SeekInfo, for the Deliver service

Signatures are ``keys.msp``'s. Protobuf bytes are made once and signed as they are; nothing is encoded twice.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from fabric_protos.common import common_pb2
from fabric_protos.msp import identities_pb2
from fabric_protos.peer import chaincode_pb2, proposal_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from keys.msp import MspKey
from ledger.errors import ProfileError

_SECTIONS = {"channel", "chaincode", "organisation", "peer", "client", "limits"}
NONCE_BYTES = 24
CHANNEL_VERSION = 1


@dataclass(frozen=True)
class Limits:
    """How long each step may take, in seconds.

    Attributes:
        endorse: until the endorsements are there.
        submit: until the orderer has taken the transaction.
        commit: until its outcome is known, derived here and under a cosigned head.
    """

    endorse: float = 15.0
    submit: float = 10.0
    commit: float = 30.0


@dataclass(frozen=True)
class ConnectionProfile:
    """The own organisation's way into a channel.

    Attributes:
        channel, chaincode: names on the network.
        msp: the own organisation's MSP id.
        endpoint: ``host:port`` of the own peer.
        name: the name its TLS certificate must have; None without TLS.
        ca: PEM of the authority of that certificate; None without TLS.
        certificate, key: the client identity, PEM.
        limits: time limits.
    """

    channel: str
    chaincode: str
    msp: str
    endpoint: str
    name: str | None
    ca: bytes | None
    certificate: bytes
    key: bytes
    limits: Limits = Limits()

    def __repr__(self) -> str:
        return f"ConnectionProfile({self.channel}, {self.chaincode}, {self.msp}, {self.endpoint})"

    @classmethod
    def read(cls, path: Path) -> ConnectionProfile:
        """Read a profile and the files it names.

        Raises:
            ProfileError: it cannot be read, or lacks or misspells something; the remedy is named.
        """
        try:
            value = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            reason = type(error).__name__
            raise ProfileError(
                f"the connection profile cannot be read ({reason}): write it as TOML"
            ) from error
        _known(value, _SECTIONS, "the profile")
        organisation = _section(value, "organisation", {"msp"})
        peer = _section(value, "peer", {"endpoint", "name", "ca"})
        client = _section(value, "client", {"certificate", "key"})
        endpoint = _text(peer, "endpoint", "[peer]")
        host = _host(endpoint)
        ca = _file(path, peer, "ca", "[peer]") if "ca" in peer else None
        if ca is None and not is_loopback(host):
            raise ProfileError(
                "[peer] ca is missing: only a peer on a loopback address is spoken to without TLS"
            )
        name = _text(peer, "name", "[peer]") if "name" in peer else host
        return cls(
            _text(value, "channel", "the profile"),
            _text(value, "chaincode", "the profile"),
            _text(organisation, "msp", "[organisation]"),
            endpoint,
            None if ca is None else name,
            ca,
            _file(path, client, "certificate", "[client]"),
            _file(path, client, "key", "[client]"),
            _limits(value),
        )


def _known(value: Mapping[str, Any], names: set[str], where: str) -> None:
    unknown = sorted(value.keys() - names)
    if unknown:
        known = ", ".join(sorted(names))
        raise ProfileError(f"{where} has no {unknown[0]}: its names are {known}")


def _section(value: Mapping[str, Any], name: str, names: set[str]) -> Mapping[str, Any]:
    section = value.get(name)
    if type(section) is not dict:
        raise ProfileError(f"the profile lacks the section [{name}]: add it with {', '.join(sorted(names))}")
    _known(section, names, f"[{name}]")
    return section


def _text(section: Mapping[str, Any], name: str, where: str) -> str:
    value = section.get(name)
    if type(value) is not str or not value:
        raise ProfileError(f"{where} lacks {name}: give it as text")
    return value


def _file(profile: Path, section: Mapping[str, Any], name: str, where: str) -> bytes:
    path = profile.parent / _text(section, name, where)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ProfileError(
            f"{where} {name} names a file that cannot be read ({type(error).__name__}): paths are "
            "relative to the profile"
        ) from error


def _host(endpoint: str) -> str:
    host, colon, port = endpoint.rpartition(":")
    if not colon or not host or not port.isdecimal():
        raise ProfileError("[peer] endpoint is written host:port")
    return host.removeprefix("[").removesuffix("]")


def is_loopback(host: str) -> bool:
    """Whether ``host``, a name or an address, is this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _limits(value: Mapping[str, Any]) -> Limits:
    if "limits" not in value:
        return Limits()
    names = {field.name for field in fields(Limits)}
    section = _section(value, "limits", names)
    for name, seconds in section.items():
        if type(seconds) not in (int, float) or not 0 < seconds <= 3600:
            raise ProfileError(f"[limits] {name} is a number of seconds above 0 and up to 3600")
    return Limits(**{name: float(seconds) for name, seconds in section.items()})


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
