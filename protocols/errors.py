"""Errors of the protocols package, drawn as a tree.

    ProtocolError
    ├── EncodingError        bytes that are not in the fixed layout
    ├── GroupError           a point or scalar that is not a valid group member
    ├── ProofError           a zero-knowledge proof that does not verify
    ├── PublicationError     a published set that breaks its own rules
    ├── CertificateError     a certificate or an opening that does not match
    ├── EvidenceError        evidence of a line that does not hold
    ├── TermListError        a list of terms that is not exactly the certified one
    ├── CiphertextError      a ciphertext outside its valid range
    ├── SumKeyError          a modulus, share or key that is malformed
    └── TotalError           an opened total outside its possible range

Each class carries ``code``, the stable name that crosses the wire; the text of an instance names the remedy.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """Root of every error this package raises."""

    code = "protocol_error"


class EncodingError(ProtocolError):
    """Bytes that do not follow the fixed layout of their kind."""

    code = "encoding"


class GroupError(ProtocolError):
    """A point is not a canonical, non-identity element, or a scalar is zero or not reduced."""

    code = "group"


class ProofError(ProtocolError):
    """A zero-knowledge proof does not verify."""

    code = "proof"


class PublicationError(ProtocolError):
    """A published set is out of order, has a wrong count, root, row or sentinel."""

    code = "publication"


class CertificateError(ProtocolError):
    """A certificate differs from the intent, from its openings, or from what its signer may say."""

    code = "certificate"


class EvidenceError(ProtocolError):
    """The evidence of one line of a check does not prove what the line says."""

    code = "evidence"


class TermListError(ProtocolError):
    """A list of terms is not exactly what the certified elements and the rules allow."""

    code = "term_list"


class CiphertextError(ProtocolError):
    """A ciphertext is outside 0 < c < n² or shares a factor with n."""

    code = "ciphertext"


class SumKeyError(ProtocolError):
    """A modulus, key, share or verification value is malformed."""

    code = "sum_key"


class TotalError(ProtocolError):
    """An opened total lies outside what its terms allow."""

    code = "total_range"
