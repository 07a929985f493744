"""JSON forms of documents: exactly the known fields, each of its type and in one canonical spelling.

A document's class names its fields once, as a table from field name to ``Field``. The table serves both ways:
``JsonForm.read`` refuses a missing field, an unknown field and a malformed value, and names the field (never
its value, and never an unknown name, which may be anything); ``JsonForm.write`` gives back the same object.
Reading is strict so that ``write(read(value)) == value``: a parsed document stands for exactly the object
that was signed or hashed.

``SignatureValue`` is the signature object of every document outside the ledger.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from protocols.encoding import from_hex
from protocols.errors import EncodingError, ProtocolError

_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_END = "9999"
"""The ledger has no times from this year on (``ledger.entries.times``)."""


@dataclass(frozen=True)
class Field:
    """One field's value in both directions.

    Attributes:
        read: the value from JSON; raises ``ProtocolError`` for anything but the one spelling of a value.
        write: JSON from the value.
    """

    read: Callable[[object], Any]
    write: Callable[[Any], Any]


@dataclass(frozen=True)
class JsonForm:
    """The form of one kind of document.

    Attributes:
        name: the document in error messages, such as "the certificate".
        error: what reading raises.
        fields: every field but the version, by name; the document's class has attributes of these names.
        version: value of the field ``v``, or None for a part of a document, which has no version.
        optional: fields that are left out where their value is None.
    """

    name: str
    error: type[ProtocolError]
    fields: Mapping[str, Field]
    version: int | None = None
    optional: frozenset[str] = field(default_factory=frozenset)

    def read(self, value: object) -> dict[str, Any]:
        """The document's attributes by name.

        Raises:
            ProtocolError: of the class ``error``; the message names the field.
        """
        if not isinstance(value, dict):
            raise self.error(f"{self.name} is not an object")
        versioned = set() if self.version is None else {"v"}
        missing = sorted((self.fields.keys() | versioned) - self.optional - value.keys())
        if missing:
            raise self.error(f"{self.name} lacks {', '.join(missing)}")
        if value.keys() - self.fields.keys() - versioned:
            raise self.error(f"{self.name} has a field that does not belong to it")
        if versioned and (type(value["v"]) is not int or value["v"] != self.version):
            raise self.error(f"{self.name} is not of version v = {self.version}: update this program")
        found: dict[str, Any] = {}
        for name, each in self.fields.items():
            if name not in value:
                found[name] = None
                continue
            try:
                found[name] = each.read(value[name])
            except ProtocolError as error:
                raise self.error(f"{self.name}, {name}: {error}") from error
        return found

    def write(self, document: object) -> dict[str, Any]:
        """The document as a JSON object."""
        value: dict[str, Any] = {} if self.version is None else {"v": self.version}
        for name, each in self.fields.items():
            attribute = getattr(document, name)
            if attribute is not None or name not in self.optional:
                value[name] = each.write(attribute)
        return value


def _as_is(value: Any) -> Any:
    return value


def text(longest: int, shortest: int = 1) -> Field:
    """Text of ``shortest`` to ``longest`` characters."""

    def read(value: object) -> str:
        if type(value) is not str or not shortest <= len(value) <= longest:
            raise EncodingError(f"must be text of {shortest} to {longest} characters")
        return value

    return Field(read, _as_is)


def matching(pattern: str, need: str) -> Field:
    """Text that matches ``pattern`` as a whole; ``need`` says so in words."""
    compiled = re.compile(pattern)

    def read(value: object) -> str:
        if type(value) is not str or compiled.fullmatch(value) is None:
            raise EncodingError(f"must be {need}")
        return value

    return Field(read, _as_is)


def choice(*allowed: str) -> Field:
    """One of these texts."""

    def read(value: object) -> str:
        if type(value) is not str or value not in allowed:
            raise EncodingError("must be one of " + ", ".join(allowed))
        return value

    return Field(read, _as_is)


def integer(least: int | None, most: int | None = None) -> Field:
    """An integer, at least ``least`` and at most ``most`` where they are given; booleans are refused."""
    bounds = ("" if least is None else f" from {least}") + ("" if most is None else f" to {most}")

    def read(value: object) -> int:
        small = type(value) is int and least is not None and value < least
        if type(value) is not int or small or (most is not None and value > most):
            raise EncodingError(f"must be an integer{bounds}")
        return value

    return Field(read, _as_is)


def octets(least: int, most: int | None = None) -> Field:
    """Bytes, written in lower-case hex; exactly ``least`` of them where ``most`` is left out."""
    top = least if most is None else most
    size = f"{least} bytes" if least == top else f"{least} to {top} bytes"

    def read(value: object) -> bytes:
        if type(value) is not str or not 2 * least <= len(value) <= 2 * top or not _HEX.fullmatch(value):
            raise EncodingError(f"must be {size} in lower-case hex")
        return bytes.fromhex(value)

    return Field(read, bytes.hex)


def _read_moment(value: object) -> str:
    if type(value) is not str or _TIME.fullmatch(value) is None or value >= _END:
        raise EncodingError("must be a time before the year 9999, YYYY-MM-DDTHH:MM:SSZ")
    try:
        datetime.fromisoformat(value)
    except ValueError as error:
        raise EncodingError("must be a time that exists") from error
    return value


MOMENT = Field(_read_moment, _as_is)
"""A time in UTC, as the ledger writes it; kept as text, whose order is the order of time."""


def listed(item: Field) -> Field:
    """A list of items, read into a tuple."""

    def read(value: object) -> tuple[Any, ...]:
        if type(value) is not list:
            raise EncodingError("must be a list")
        return tuple(item.read(each) for each in value)

    return Field(read, lambda values: [item.write(each) for each in values])


def part(parse: Callable[[Any], Any]) -> Field:
    """A part with a class of its own, which has ``to_json``."""
    return Field(parse, lambda value: value.to_json())


_ANY_TEXT = text(1 << 15, shortest=0)
_FORM = JsonForm("the signature", EncodingError, {"key": _ANY_TEXT, "alg": _ANY_TEXT, "sig": _ANY_TEXT})


@dataclass(frozen=True)
class SignatureValue:
    """One signature; whether it verifies, and under whose key, is for the reader to check.

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
        """The signature's bytes.

        Raises:
            EncodingError: ``sig`` is not lower-case hex.
        """
        return from_hex(self.sig)

    @classmethod
    def parse(cls, value: object) -> SignatureValue:
        """Read ``{key, alg, sig}``, three texts.

        Raises:
            EncodingError: a field is missing, unknown or not text.
        """
        return cls(**_FORM.read(value))

    def to_json(self) -> dict[str, Any]:
        """``{key, alg, sig}``."""
        return _FORM.write(self)
