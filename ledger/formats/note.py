"""Signed notes and verifier keys, exactly as c2sp.org/signed-note says.

    <text, ending in a newline>
    <empty line>
    — <key name> base64(key id, 4 bytes ‖ signature)
    …

Rules
- UTF-8, no control characters but the newline; the text ends at the last empty line.
- Key names are not empty and hold no Unicode space and no plus. Base64 is standard, padded and canonical.
- key id = SHA-256(name ‖ 0x0A ‖ type ‖ public key)[:4]. Type 0x01 is plain Ed25519 over the text; 0x04 is a
  timestamped cosignature (``ledger.formats.checkpoint``). A verifier key is ``<name>+<8 hex>+base64(type ‖
  key)``.
- A signature whose name and id are not both those of a known key is ignored. A known key whose signature
  fails rejects the whole note; so do a note without any signature and one with more than 100.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from keys.errors import KeysError
from keys.signing import ED25519, PublicKey, SigningKey
from ledger.errors import NoteError

TYPE_ED25519 = 0x01
TYPE_COSIGNATURE = 0x04
MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100
_DASH = "— "
_NO_NAME = re.compile(r"[\s+\x00-\x1f]")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_KEY_TYPES = (TYPE_ED25519, TYPE_COSIGNATURE)


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """The 4 bytes that stand before a signature: SHA-256(name ‖ 0x0A ‖ type ‖ public)[:4]."""
    return hashlib.sha256(name.encode("utf-8") + b"\n" + bytes([kind]) + public).digest()[:4]


@dataclass(frozen=True)
class VerifierKey:
    """A named public key of one signature type.

    Attributes:
        name: key name; for a log its origin.
        kind: signature type, 0x01 or 0x04.
        public: the Ed25519 key.
    """

    name: str
    kind: int
    public: PublicKey

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.kind not in _KEY_TYPES or self.public.alg != ED25519:
            raise NoteError(f"signature type {self.kind:#04x} is not one this ledger uses (0x01, 0x04)")

    @property
    def id(self) -> bytes:
        """The key id, 4 bytes."""
        return key_id(self.name, self.kind, self.public.raw)

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read ``<name>+<8 hex>+base64(type ‖ key)``.

        Raises:
            NoteError: malformed, of a type this ledger does not use, or the id is not that of the key.
        """
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise NoteError("a verifier key is <name>+<8 hex>+<base64>: copy it again")
        name, ident, encoded = parts
        blob = unbase64(encoded)
        if len(blob) != 33:
            raise NoteError("a verifier key holds one type byte and a key of 32 bytes")
        try:
            key = cls(name, blob[0], PublicKey(ED25519, blob[1:]))
        except KeysError as error:
            raise NoteError(f"the verifier key holds no valid Ed25519 key: {error}") from error
        if key.id.hex() != ident:
            raise NoteError("the id of the verifier key is not that of its name and key: copy it again")
        return key

    def format(self) -> str:
        """``<name>+<8 hex>+base64(type ‖ key)``."""
        return f"{self.name}+{self.id.hex()}+{base64_text(bytes([self.kind]) + self.public.raw)}"


@dataclass(frozen=True)
class NoteSignature:
    """One signature line.

    Attributes:
        name: key name.
        key_id: 4 bytes.
        blob: what the key's type says: a signature, or a time and a signature.
    """

    name: str
    key_id: bytes
    blob: bytes

    @classmethod
    def parse(cls, line: str) -> NoteSignature:
        """Read one line without its newline.

        Raises:
            NoteError: malformed.
        """
        if not line.startswith(_DASH):
            raise NoteError("a signature line starts with an em dash and a space")
        name, space, encoded = line[len(_DASH) :].partition(" ")
        if not space:
            raise NoteError("a signature line is: em dash, key name, base64")
        check_name(name)
        blob = unbase64(encoded)
        if len(blob) < 5:
            raise NoteError("a signature is at least five bytes: key id and signature")
        return cls(name, blob[:4], blob[4:])

    def line(self) -> str:
        """The line with its newline."""
        return f"{_DASH}{self.name} {base64_text(self.key_id + self.blob)}\n"

    def by(self, key: VerifierKey) -> bool:
        """Whether the line names this key (name and id); says nothing about validity."""
        return self.name == key.name and self.key_id == key.id


@dataclass(frozen=True)
class Note:
    """A text and the signature lines under it.

    Attributes:
        text: ends in a newline.
        signatures: in the order of the note; at least one.
    """

    text: str
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, data: bytes) -> Note:
        """Read a signed note; verifies nothing.

        Raises:
            NoteError: malformed.
        """
        if len(data) > MAX_NOTE_BYTES:
            raise NoteError(f"a note of more than {MAX_NOTE_BYTES} bytes is not read")
        text = _decode(data)
        split = text.rfind("\n\n")
        if split < 0 or not text.endswith("\n"):
            raise NoteError("a note is a text, an empty line and signature lines, each ending in a newline")
        lines = text[split + 2 :].split("\n")[:-1]
        if not 1 <= len(lines) <= MAX_SIGNATURES:
            raise NoteError(f"a note carries 1 to {MAX_SIGNATURES} signatures, not {len(lines)}")
        return cls(text[: split + 1], tuple(NoteSignature.parse(line) for line in lines))

    def format(self) -> bytes:
        """The note's bytes."""
        lines = "".join(signature.line() for signature in self.signatures)
        return f"{self.text}\n{lines}".encode()

    def signed_by(self, key: VerifierKey) -> Sequence[NoteSignature]:
        """The lines that name ``key``, not yet verified."""
        return [signature for signature in self.signatures if signature.by(key)]

    def only(self, key: VerifierKey) -> Note:
        """The text with only the first signature line that names ``key``; all other lines are left out."""
        return Note(self.text, tuple(self.signed_by(key))[:1])


class NoteSigner:
    """A key of type 0x01 that signs texts under its name, held in memory; its seed belongs in a vault."""

    def __init__(self, name: str, key: SigningKey) -> None:
        self._key = key
        self._verifier = VerifierKey(name, TYPE_ED25519, key.public)

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        return self._verifier

    def sign(self, text: str) -> Note:
        """A note of ``text`` with this key's signature.

        Raises:
            NoteError: the text does not end in a newline or holds a control character.
        """
        if not text.endswith("\n"):
            raise NoteError("the text of a note ends in a newline")
        data = text.encode("utf-8")
        _decode(data)
        signature = NoteSignature(self._verifier.name, self._verifier.id, self._key.sign(data))
        return Note(text, (signature,))


def verify_ed25519(note: Note, key: VerifierKey) -> None:
    """Check that ``note`` carries a valid plain signature by ``key``, and no invalid one.

    Raises:
        NoteError: no line names the key, or one that does fails.
    """
    if key.kind != TYPE_ED25519:
        raise NoteError("a plain note signature needs a key of type 0x01")
    lines = note.signed_by(key)
    if not lines:
        raise NoteError(f"no signature by the key {key.name}: the note is another signer's")
    for signature in dict.fromkeys(lines):  # a line that is there a hundred times is verified once
        try:
            key.public.verify(note.text.encode("utf-8"), signature.blob)
        except KeysError as error:
            raise NoteError(f"the signature by {key.name} is false: reject the whole note") from error


def check_name(name: str) -> None:
    """Refuse a key name that is empty or holds a space, a plus or a control character.

    Raises:
        NoteError: it does.
    """
    if not name or _NO_NAME.search(name) is not None:
        raise NoteError("a key name is not empty and holds no space, plus or control character")


def base64_text(data: bytes) -> str:
    """Standard padded base64 (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def unbase64(text: str) -> bytes:
    """Strict inverse of ``base64_text``: alphabet, padding and unused bits must be exact.

    Raises:
        NoteError: they are not.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise NoteError("not standard base64") from error
    if base64_text(data) != text:
        raise NoteError("not canonical base64")
    return data


def decimal(text: str) -> int:
    """A non-negative ASCII decimal below 2^63 without leading zeroes.

    Raises:
        NoteError: the text is not such a decimal.
    """
    if (
        not 1 <= len(text) <= 19
        or not (text.isascii() and text.isdigit())
        or (text[0] == "0" and text != "0")
    ):
        raise NoteError("not a decimal number without leading zeroes")
    value = int(text)
    if value >= 1 << 63:
        raise NoteError("a number of 2^63 or more is not used here")
    return value


def _decode(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoteError("a note is UTF-8 text") from error
    if _CONTROL.search(text) is not None:
        raise NoteError("a note holds no control character but the newline")
    return text
