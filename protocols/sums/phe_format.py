"""Keys, numbers and ciphertexts in the formats of python-paillier (``phe``) and its command ``pheutil``.

=============== =========================================================================================
public key      {"kty": "DAJ", "alg": "PAI-GN1", "key_ops": ["encrypt"], "n": B, "kid": text}
private key     {"kty": "DAJ", "key_ops": ["decrypt"], "p": B, "q": B, "pub": public key, "kid": text}
encrypted       {"v": decimal digits of the ciphertext, "e": exponent}
number
=============== =========================================================================================

B is unsigned big-endian, unpadded base64url, as in JWK (RFC 7518). A number is encoded as m · 16^e; ours
always have e = 0, so m is the integer itself, and a negative one is n - |m|. ``pheutil`` itself lowers
every exponent to -32, so reading accepts other exponents as long as the value is an integer. ``phe`` calls
the middle third of [0, n) an overflow, we split at n/2; sums of amounts are far from both.

Facts about phe 1.5 kept here because they bind us: it reads ``v`` and ``e`` only; it needs "alg" PAI-GN1 on
public and "decrypt" in "key_ops" on private keys; it orders p < q by itself.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from protocols.errors import EncodingError, SumKeyError
from protocols.profiles import PaillierProfile
from protocols.sums.modulus import check_modulus
from protocols.sums.paillier import PaillierPrivateKey, PaillierPublicKey

_KEY_TYPE = "DAJ"
_ALGORITHM = "PAI-GN1"
_DIGIT_BITS = 4
_MOST_EXPONENT = 256


@dataclass(frozen=True)
class EncryptedNumber:
    """A ciphertext with phe's exponent: it holds m · 16^exponent.

    Attributes:
        ciphertext: not yet checked.
        exponent: 0 in everything we write.
    """

    ciphertext: int
    exponent: int = 0


def encode_integer(value: int, n: int) -> int:
    """m in [0, n) for a signed integer: n - |value| for a negative one.

    Raises:
        EncodingError: |value| >= n/3, which phe would take for an overflow.
    """
    if abs(value) >= n // 3:
        raise EncodingError("the number is too large for this modulus")
    return value % n


def decode_integer(m: int, n: int, exponent: int = 0) -> int:
    """The signed integer m · 16^exponent of a decrypted m; m > n/2 is m - n.

    Raises:
        EncodingError: m is not in [0, n), the exponent is absurd, or the value is not an integer.
    """
    if not 0 <= m < n or abs(exponent) > _MOST_EXPONENT:
        raise EncodingError("not a number of python-paillier under this key")
    signed = m - n if m > n // 2 else m
    if exponent >= 0:
        return signed << _DIGIT_BITS * exponent
    value, rest = divmod(signed, 1 << _DIGIT_BITS * -exponent)
    if rest != 0:
        raise EncodingError("the number is not an integer: amounts are whole fen")
    return value


def public_to_jwk(key: PaillierPublicKey, kid: str) -> dict[str, object]:
    """Public key as ``pheutil`` reads it; ``kid`` is a free comment."""
    return {"kty": _KEY_TYPE, "alg": _ALGORITHM, "key_ops": ["encrypt"], "n": _to_base64(key.n), "kid": kid}


def public_from_jwk(data: Mapping[str, object], profile: PaillierProfile) -> PaillierPublicKey:
    """Read and check a public key.

    Raises:
        SumKeyError: not a public key of this format, or a malformed modulus.
    """
    if data.get("kty") != _KEY_TYPE or data.get("alg") != _ALGORITHM:
        raise SumKeyError(f"not a python-paillier public key: kty must be {_KEY_TYPE}, alg {_ALGORITHM}")
    n = _from_base64(data.get("n"))
    check_modulus(n, profile)
    return PaillierPublicKey.of_modulus(n, profile)


def private_to_jwk(key: PaillierPrivateKey, kid: str) -> dict[str, object]:
    """Private key as ``pheutil`` reads it. Secret: encrypt it before it is stored."""
    return {
        "kty": _KEY_TYPE,
        "key_ops": ["decrypt"],
        "p": _to_base64(key.p),
        "q": _to_base64(key.q),
        "pub": public_to_jwk(key.public, kid),
        "kid": kid,
    }


def private_from_jwk(data: Mapping[str, object], profile: PaillierProfile) -> PaillierPrivateKey:
    """Read and check a private key.

    Raises:
        SumKeyError: not a private key of this format, not primes, or its public part is another key's.
    """
    operations = data.get("key_ops")
    if data.get("kty") != _KEY_TYPE or not isinstance(operations, list) or "decrypt" not in operations:
        raise SumKeyError(f'not a python-paillier private key: kty must be {_KEY_TYPE}, key_ops ["decrypt"]')
    key = PaillierPrivateKey(_from_base64(data.get("p")), _from_base64(data.get("q")), profile)
    public = data.get("pub")
    if not isinstance(public, Mapping) or public_from_jwk(public, profile).n != key.p * key.q:
        raise SumKeyError("the private key's public part is of another key")
    return key


def encrypted_to_json(number: EncryptedNumber) -> dict[str, object]:
    """{"v": …, "e": …}, ready for a JSON writer."""
    return {"v": str(number.ciphertext), "e": number.exponent}


def encrypted_from_json(data: Mapping[str, object], key: PaillierPublicKey) -> EncryptedNumber:
    """Read an encrypted number and check its ciphertext under ``key``.

    Raises:
        EncodingError: not this format.
        CiphertextError: the ciphertext is malformed.
    """
    value, exponent = data.get("v"), data.get("e")
    if not isinstance(value, str) or not value.isascii() or not value.isdigit():
        raise EncodingError('an encrypted number needs "v", decimal digits')
    # A ciphertext has log10(2) = 0.302 digits a bit; longer text is refused before it is parsed.
    if len(value) > key.ciphertext_bytes * 8 * 302 // 1000 + 1:
        raise EncodingError("the encrypted number is longer than this key allows")
    if not isinstance(exponent, int) or isinstance(exponent, bool):
        raise EncodingError('an encrypted number needs "e", an integer')
    number = EncryptedNumber(int(value), exponent)
    key.check_ciphertexts([number.ciphertext])
    return number


def _to_base64(value: int) -> str:
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _from_base64(text: object) -> int:
    if not isinstance(text, str) or "=" in text:
        raise SumKeyError("a number of the key must be unpadded base64url text")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise SumKeyError("a number of the key must be unpadded base64url text") from error
    return int.from_bytes(raw, "big")
