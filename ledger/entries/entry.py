"""Entries: the leaves of the log, their strict format and what each signer signs.

A leaf is the canonical JSON (RFC 8785) of ``{v, network, type, id, time, body, sigs: [{key, alg, sig}]}``:

- ``v`` is 1; ``network`` names the network; ``type`` is one of the contract's types, such as
  ``dataset.publish``;
- ``id`` is new for every entry of a network, whatever its type: 32 random hex characters by custom,
  ``genesis`` for the first entry, the certificate's query id for ``query.intent``;
- ``time`` is RFC 3339 in UTC with whole seconds and ``Z``, so that text order is time order;
- ``body`` is an object whose form the contract's schema knows (``ledger/entries/body_schema.py``);
- ``sigs``: the first is the submitting node's, over ``node_message``; every further one (a person, a
  co-signing member) is over ``body_message``, which leaves out the time and may be signed hours earlier.

    node_message = "hedui/entry/v1" ‖ 0x00 ‖ canonical({v, network, type, id, time, body})
    body_message = "hedui/body/v1"  ‖ 0x00 ‖ canonical({v, network, type, id, body})

This module checks form only; whether a signature is true and its key may sign is the contract's decision.

Of the registrar's certificate the ledger knows what is signed and what the digest covers:

    message = "hedui/certificate/v1" ‖ 0x00 ‖ canonical(certificate)
    digest  = SHA-256("hedui/certificate-digest/v1" ‖ 0x00 ‖ canonical(certificate without its times))

The times are ``not_before`` and ``not_after``. A renewal changes only these, so it keeps the digest and needs
no new intent.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from keys.signing import SigningKey
from ledger.canonical import MAX_BYTES, Json, decode, encode, reread_json
from ledger.entries.times import parse_time
from ledger.errors import CanonicalError, EntryError

VERSION = 1
NODE_DOMAIN = b"hedui/entry/v1\x00"
BODY_DOMAIN = b"hedui/body/v1\x00"
MAX_SIGNATURES = 64
Body: TypeAlias = "dict[str, Any]"
"""A body: canonical JSON values only; its exact shape is that of its type's schema."""
_FIELDS = frozenset({"v", "network", "type", "id", "time", "body", "sigs"})
_SIGNATURE_FIELDS = frozenset({"key", "alg", "sig"})
_NETWORK = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TYPE = re.compile(r"[a-z]{1,32}(\.[a-z]{1,32})?")
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_KEY = re.compile(r"[0-9a-f]{32}")
_ALG = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_SIG = re.compile(r"(?:[0-9a-f]{2}){32,8192}")
SIGNATURE_DOMAIN = b"hedui/certificate/v1\x00"
DIGEST_DOMAIN = b"hedui/certificate-digest/v1\x00"
RENEWED_FIELDS = ("not_before", "not_after")


@dataclass(frozen=True)
class Signature:
    """One signature of an entry or a certificate.

    Attributes:
        key: id of the signing key, 32 hex characters.
        alg: name of the algorithm, such as ``ed25519``.
        sig: the signature in lower-case hex.
    """

    key: str
    alg: str
    sig: str

    @property
    def raw(self) -> bytes:
        """The signature's bytes."""
        return bytes.fromhex(self.sig)

    def to_json(self) -> dict[str, Json]:
        """``{key, alg, sig}``."""
        return {"key": self.key, "alg": self.alg, "sig": self.sig}


@dataclass(frozen=True)
class Entry:
    """A well-formed entry; without signatures while it is a draft.

    Attributes:
        v: format version, 1.
        network: name of the network.
        type: entry type.
        id: identifier of the entry.
        time: RFC 3339 UTC, ``YYYY-MM-DDTHH:MM:SSZ``.
        body: the type's fields; treat it as read-only.
        sigs: the submitting node's signature, then those over the body.
    """

    v: int
    network: str
    type: str
    id: str
    time: str
    body: Body
    sigs: tuple[Signature, ...] = ()

    def leaf(self) -> bytes:
        """Canonical bytes of the signed entry, the leaf of the log.

        Raises:
            EntryError: no signature yet, or larger than 60 KiB.
        """
        if not self.sigs:
            raise EntryError("an entry needs its node's signature before it is a leaf: sign it first")
        data = encode({**_signed_part(self), "sigs": [signature.to_json() for signature in self.sigs]})
        if len(data) > MAX_BYTES:
            raise EntryError(f"an entry may have {MAX_BYTES} bytes: put digests instead of content")
        return data


def parse(leaf: bytes) -> Entry:
    """The entry whose leaf is ``leaf``, checked strictly.

    Args:
        leaf: canonical JSON of at most 60 KiB and depth 8.

    Raises:
        EntryError: not canonical, a missing, unknown or malformed field, an unknown version, or no signature.
    """
    try:
        value = decode(leaf)
    except CanonicalError as error:
        raise EntryError(f"an entry must be canonical JSON: {error}") from error
    if type(value) is not dict or value.keys() != _FIELDS:
        raise EntryError("an entry has exactly the fields v, network, type, id, time, body, sigs")
    sigs = value["sigs"]
    if type(sigs) is not list or not 1 <= len(sigs) <= MAX_SIGNATURES:
        raise EntryError(f"sigs must be a list of 1 to {MAX_SIGNATURES} signatures")
    return Entry(
        _version(value["v"]),
        _matched(_NETWORK, value["network"], "network"),
        _matched(_TYPE, value["type"], "type"),
        _matched(_ID, value["id"], "id"),
        _time(value["time"]),
        _body(value["body"]),
        tuple(parse_signature(item) for item in sigs),
    )


def reread(leaf: bytes) -> Entry:
    """The entry of a leaf that ``parse`` has accepted before, without its checks."""
    value = reread_json(leaf)
    sigs = tuple(Signature(item["key"], item["alg"], item["sig"]) for item in value["sigs"])
    return Entry(value["v"], value["network"], value["type"], value["id"], value["time"], value["body"], sigs)


def parse_signature(value: Json) -> Signature:
    """A signature from its JSON form ``{key, alg, sig}``.

    Raises:
        EntryError: a missing, unknown or malformed field.
    """
    if type(value) is not dict or value.keys() != _SIGNATURE_FIELDS:
        raise EntryError("a signature has exactly the fields key, alg, sig")
    return Signature(
        _matched(_KEY, value["key"], "key"),
        _matched(_ALG, value["alg"], "alg"),
        _matched(_SIG, value["sig"], "sig"),
    )


def draft(network: str, type: str, id: str, time: str, body: Body) -> Entry:
    """An unsigned entry of the current version.

    Args:
        network: name of the network.
        type: entry type.
        id: new identifier.
        time: RFC 3339 UTC with whole seconds.
        body: fields as the type's schema has them (``ledger/entries/bodies.py`` builds them).

    Raises:
        EntryError: a malformed network, type, id or time.
    """
    return Entry(
        VERSION,
        _matched(_NETWORK, network, "network"),
        _matched(_TYPE, type, "type"),
        _matched(_ID, id, "id"),
        _time(time),
        _body(body),
    )


def node_message(entry: Entry) -> bytes:
    """The bytes that the submitting node signs: everything but the signatures."""
    return NODE_DOMAIN + encode(_signed_part(entry))


def body_message(network: str, type: str, id: str, body: Body) -> bytes:
    """The bytes that every further signer signs: ``node_message`` without the time."""
    return BODY_DOMAIN + encode({"v": VERSION, "network": network, "type": type, "id": id, "body": body})


def sign_message(key: SigningKey, message: bytes) -> Signature:
    """``key``'s signature over ``message`` with the key's id and algorithm."""
    return Signature(key.public.id, key.public.alg, key.sign(message).hex())


def sign_body(key: SigningKey, entry: Entry) -> Signature:
    """A further signer's signature over the body of ``entry``, draft or not."""
    return sign_message(key, body_message(entry.network, entry.type, entry.id, entry.body))


def signed(entry: Entry, node: SigningKey, further: Sequence[Signature] = ()) -> Entry:
    """``entry`` with the submitting node's signature first and ``further`` signatures after it."""
    return replace(entry, sigs=(sign_message(node, node_message(entry)), *further))


def _signed_part(entry: Entry) -> dict[str, Json]:
    return {
        "v": entry.v,
        "network": entry.network,
        "type": entry.type,
        "id": entry.id,
        "time": entry.time,
        "body": entry.body,
    }


def _version(value: Json) -> int:
    if type(value) is not int or value != VERSION:
        raise EntryError(f"only version {VERSION} of the entry format is known: update this node")
    return value


def _matched(pattern: re.Pattern[str], value: Json, name: str) -> str:
    if type(value) is not str or pattern.fullmatch(value) is None:
        raise EntryError(f"{name} is malformed: it must match {pattern.pattern}")
    return value


def _time(value: Json) -> str:
    if type(value) is not str:
        raise EntryError("time must be text, YYYY-MM-DDTHH:MM:SSZ")
    try:
        parse_time(value)
    except ValueError as error:
        raise EntryError(f"time is malformed: {error}") from error
    return value


def _body(value: Json) -> Body:
    if type(value) is not dict:
        raise EntryError("body must be an object")
    return value


def certificate_message(certificate: Mapping[str, Any]) -> bytes:
    """The bytes the registrar's node key signs."""
    return SIGNATURE_DOMAIN + encode(dict(certificate))


def certificate_digest(certificate: Mapping[str, Any]) -> str:
    """Hex digest that names the certificate through all its renewals."""
    lasting = {name: value for name, value in certificate.items() if name not in RENEWED_FIELDS}
    return hashlib.sha256(DIGEST_DOMAIN + encode(lasting)).hexdigest()
