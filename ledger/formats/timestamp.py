"""RFC 3161 time-stamps of checkpoints: what is stamped, how it is requested, how a token is verified offline.

Stamped is SHA-256 of the *note's bytes* as they were published, the log's signature and the witnesses'
cosignatures included, not of the text alone. So the token says that this head *was signed by the log and
cosigned by its quorum* at that time, which a key stolen later cannot make up; and any RFC 3161 tool checks it
as it is: ``openssl ts -verify -data NOTE -in TOKEN -CAfile CA``.

A token is verified without a network, against the authority's certificates that the reader trusts:

    structure    a granted answer in DER, with imprint SHA-256(note)
    nonce        when it is received: the one that was asked with
    chain        the signer's certificate, valid at the token's time, leads to a trusted root
    purpose      it has the critical extended key usage id-kp-timeStamping, and no other use
    policy       the authority's policy OID, where the reader wants one
    time         not after now by more than the tolerance of clocks

A token proves that the authority signed this time, not that the time is right. The certificates in a token
are not covered by its signature. OpenSSL does not sort them as DER requires, so they are sorted before a
strict parser reads them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import rfc3161_client as rfc3161
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from ledger.errors import TimestampError

SHA256_OID = "2.16.840.1.101.3.4.2.1"
MAX_TOKEN_BYTES = 1 << 18
CLOCK_TOLERANCE = 120
"""Seconds that an authority's clock may be ahead of the reader's."""

Post: TypeAlias = Callable[[bytes], bytes]
"""Sends a DER request to an authority and returns its answer's bytes.

Raises:
    LogUnavailableError: the authority is out of reach, or answers with something else.
"""

_CERTIFICATES = 0xA0
"""Tag of the certificates in CMS SignedData."""


@dataclass(frozen=True)
class Token:
    """The content of a time-stamp.

    Attributes:
        time: second since 1970 of the authority's clock.
        policy: OID of the policy it was issued under.
        serial: the authority's number for it.
        data: the whole answer as the authority gave it.
    """

    time: int
    policy: str
    serial: int
    data: bytes


@dataclass(frozen=True)
class TimestampAuthority:
    """An authority that a reader trusts for the time.

    Attributes:
        roots: self-signed certificates.
        intermediates: others that may stand between.
        policy: the policy OID wanted, or None for any.
    """

    roots: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...] = ()
    policy: str | None = None

    def __post_init__(self) -> None:
        """Read the policy.

        Raises:
            TimestampError: it is no OID.
        """
        try:
            if self.policy is not None:
                x509.ObjectIdentifier(self.policy)
        except ValueError as error:
            raise TimestampError(f"{self.policy} is no OID of a policy: ask the authority") from error

    @classmethod
    def from_pem(cls, data: bytes, policy: str | None = None) -> TimestampAuthority:
        """The certificates of a PEM file, the authority's root among them.

        Raises:
            TimestampError: no certificates, no self-signed one among them, or the policy is no OID.
        """
        try:
            found = x509.load_pem_x509_certificates(data)
        except ValueError as error:
            raise TimestampError(
                "the authority's file holds no PEM certificates: ask the authority"
            ) from error
        roots = tuple(one for one in found if one.issuer == one.subject)
        if not roots:
            raise TimestampError("the authority's file holds no root certificate: add the self-signed one")
        return cls(roots, tuple(one for one in found if one not in roots), policy)


def parse_token(data: bytes, note: bytes) -> Token:
    """The token in an authority's answer, over exactly this note.

    Raises:
        TimestampError: malformed, not granted, or over something else.
    """
    answer = _answer(data)
    if answer.status != rfc3161.PKIStatus.GRANTED:
        raise TimestampError("the authority did not grant a time-stamp: ask it why, and stamp again")
    info = answer.tst_info
    imprint = info.message_imprint
    if imprint.hash_algorithm.dotted_string != SHA256_OID or imprint.message != _imprint(note):
        raise TimestampError("the time-stamp is of something else than its note: remove both files")
    return Token(int(info.gen_time.timestamp()), info.policy.dotted_string, info.serial_number, data)


def verify_token(data: bytes, note: bytes, authority: TimestampAuthority, now: int | None = None) -> Token:
    """The token, verified under the authority's certificates.

    Args:
        data: the answer. note: the stamped note. authority: whom the reader trusts. now: second since 1970
        that the token may not be later than; None: not compared.

    Raises:
        TimestampError: the first thing that does not hold.
    """
    token = parse_token(data, note)
    answer = _answer(data)
    builder = rfc3161.VerifierBuilder(
        policy_id=None if authority.policy is None else x509.ObjectIdentifier(authority.policy),
        roots=list(authority.roots),
        intermediates=list(authority.intermediates),
    )
    try:
        builder.build().verify(answer, _imprint(note))
    except (rfc3161.VerificationError, UnsupportedAlgorithm, ValueError) as error:
        raise TimestampError(
            f"the time-stamp does not verify under the authority's certificates ({_reason(error)}): check "
            "that they are that authority's, else do not rely on the time-stamp"
        ) from error
    if now is not None and token.time > now + CLOCK_TOLERANCE:
        raise TimestampError("the time-stamp lies in the future: compare the clocks, and stamp again")
    return token


def read_token(data: bytes, note: bytes, authority: TimestampAuthority | None) -> Token:
    """The token, verified where the reader names an authority; else of its structure and note alone.

    Raises:
        TimestampError: the first thing that does not hold.
    """
    return parse_token(data, note) if authority is None else verify_token(data, note, authority)


def stamp(note: bytes, post: Post, authority: TimestampAuthority | None, now: int) -> Token:
    """Ask an authority for a time-stamp of a note, and verify the answer.

    Args:
        note: a published checkpoint. post: sends the request. authority: whom to trust; None: the answer's
        structure and nonce alone are checked. now: second since 1970.

    Raises:
        TimestampError: the answer does not hold.
        LogUnavailableError: the authority is out of reach.
    """
    request = (
        rfc3161.TimestampRequestBuilder()
        .data(note)
        .hash_algorithm(rfc3161.HashAlgorithm.SHA256)
        .nonce(nonce=True)
        .cert_request(cert_request=True)
        .build()
    )
    data = post(request.as_bytes())
    token = parse_token(data, note)
    if _answer(data).tst_info.nonce != request.nonce:
        raise TimestampError("the authority's answer is to another request: ask it again")
    return token if authority is None else verify_token(data, note, authority, now)


def _reason(error: Exception) -> str:
    """Why a token does not verify, in the words of OpenSSL, without its stack of errors."""
    text = str(error)
    found = re.findall(r'Verify error: ([^"]+)"', text) or re.findall(r'reason: "([^"]+)"', text)
    return found[-1] if found else text.partition(": ErrorStack")[0]


def _imprint(note: bytes) -> bytes:
    return hashlib.sha256(note).digest()


def _answer(data: bytes) -> rfc3161.TimeStampResponse:
    if len(data) > MAX_TOKEN_BYTES:
        raise TimestampError("the time-stamp is too long to be one: use another authority")
    try:
        answer = rfc3161.decode_timestamp_response(_sorted_certificates(data))
        _ = answer.tst_info if answer.status == rfc3161.PKIStatus.GRANTED else None
    except ValueError as error:
        raise TimestampError(
            "the time-stamp is no answer of an authority, or has changed: stamp again"
        ) from error
    return answer


def _sorted_certificates(data: bytes) -> bytes:
    """The same answer with its certificates in DER's order; unchanged where it has another structure."""
    try:
        _, begin, end = _element(data, 0)
        token = _children(data, begin, end)[1]
        content = _children(data, token[1], token[2])[1]
        signed = _children(data, content[1], content[2])[0]
        parts = _children(data, signed[1], signed[2])
        [(_, begin, end)] = [part for part in parts if part[0] == _CERTIFICATES]
        at, pieces = begin, []
        while at < end:
            after = _element(data, at)[2]
            pieces.append(data[at:after])
            at = after
    except (IndexError, ValueError):
        return data
    return data[:begin] + b"".join(sorted(pieces)) + data[end:]


def _children(data: bytes, begin: int, end: int) -> list[tuple[int, int, int]]:
    """(tag, begin, end) of the contents of each element between two places."""
    found = []
    while begin < end:
        element = _element(data, begin)
        found.append(element)
        begin = element[2]
    return found


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """(tag, begin, end) of the content of the DER element at a place.

    Raises:
        IndexError, ValueError: there is no DER element at the place.
    """
    tag, length, begin = data[at], data[at + 1], at + 2
    if length >= 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[begin : begin + count], "big")
        begin += count
    if begin + length > len(data):
        raise ValueError("an element is longer than the data")
    return tag, begin, begin + length
