"""Proof that a partial opening is right, without showing the share.

Holder i claims cᵢ = C^(2Δ sᵢ), where its verification value vᵢ = v^(Δ sᵢ) is on the ledger. With x = Δ sᵢ
that is equality of two discrete logarithms in a group of unknown order (Chaum and Pedersen 1992; Shoup
2000; Damgård and Jurik 2001), log_v vᵢ = log_{C⁴} cᵢ² = x, made non-interactive after Fiat and Shamir.
Modulo n²:

- holder: w random, a = (C⁴)^w, b = v^w, e = H(…, a, b), z = w + e·x over the integers; the proof is (e, z).
- verifier: a' = (C⁴)^z · (cᵢ²)^-e, b' = v^z · vᵢ^-e, and accepts when e = H(…, a', b').
- H = SHA-256 over fields("hedui/share-proof/v1", network, n, v, vᵢ, C, cᵢ, trustee, query id, list digest,
  a, b): a share of another list, query, network, trustee or C does not pass. e has all 256 bits.

*Hiding.* x < 2^(2·bits) · Δ; w has 256 + 256 bits more, so z shows nothing of x (statistical distance
2^-256). w is hedged: SHAKE-256 over the share, 32 fresh random bytes and the transcript, so that neither a
cloned machine nor a weak random source repeats it under another challenge (which would give x away).
*Soundness.* Squares modulo n² have no small subgroups when p and q are safe primes, so x is unique;
squaring cᵢ leaves its sign (and another square root of 1, which needs the factors) open, and ``combine``
squares as well.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from protocols.encoding import fields
from protocols.errors import ProofError
from protocols.sums.arithmetic import hash_to_bits, in_parallel, inverse, powmod, powmod_secret
from protocols.sums.sumkey import Share, SumKey, check_unit

_PROOF_DOMAIN = b"hedui/share-proof/v1"
_NONCE_DOMAIN = b"hedui/share-nonce/v1"
_FRESH_BYTES = 32


@dataclass(frozen=True)
class ListContext:
    """What a share belongs to; bound into its proof.

    Attributes:
        network: the network's name.
        query: the query id, 32 hex digits.
        list_digest: SHA-256 of the list of terms, 32 bytes.
    """

    network: str
    query: str
    list_digest: bytes


@dataclass(frozen=True)
class _Statement:
    key: SumKey
    holder: str
    ciphertext: int
    value: int
    context: ListContext

    def challenge(self, a: int, b: int) -> int:
        return int.from_bytes(hashlib.sha256(self.transcript(a, b)).digest(), "big")

    def transcript(self, *commitments: int) -> bytes:
        key, wide = self.key, self.key.public.to_bytes
        return fields(
            _PROOF_DOMAIN,
            self.context.network.encode(),
            wide(key.public.n),
            wide(key.v),
            wide(key.verification_of(self.holder)),
            wide(self.ciphertext),
            wide(self.value),
            self.holder.encode(),
            self.context.query.encode(),
            self.context.list_digest,
            *(wide(commitment) for commitment in commitments),
        )


def _challenge_bytes(key: SumKey) -> int:
    return key.public.profile.challenge_bits // 8


def _nonce_bits(key: SumKey) -> int:
    profile = key.public.profile
    secret_bits = 2 * profile.modulus_bits + key.delta.bit_length()
    return (secret_bits + profile.challenge_bits + profile.statistical_bits + 7) // 8 * 8


def proof_bytes(key: SumKey) -> int:
    """Length of a proof: the challenge, then z, one byte longer than the nonce (866 bytes at 3072 bits)."""
    return _challenge_bytes(key) + _nonce_bits(key) // 8 + 1


def prove(
    key: SumKey,
    share: Share,
    ciphertext: int,
    value: int,
    context: ListContext,
    *,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> bytes:
    """Proof that ``value`` = partial(key, share, ciphertext), ``proof_bytes(key)`` bytes.

    Args:
        key: the checked sum key.
        share: the caller's share.
        ciphertext: C, computed by the caller.
        value: the caller's partial opening of it.
        context: what the opening is for.
        random: ``random(k)`` gives k fresh random bytes.

    Raises:
        CiphertextError: C is malformed.
        SumKeyError: the holder is a stranger.
    """
    key.public.check_ciphertexts([ciphertext])
    statement = _Statement(key, share.holder, ciphertext, value, context)
    secret = key.delta * share.value
    wide = key.public.to_bytes(share.value)
    modulus = key.public.n_square
    nonce = hash_to_bits(_nonce_bits(key), _NONCE_DOMAIN, wide, random(_FRESH_BYTES), statement.transcript())
    a, b = in_parallel(
        lambda: powmod_secret(pow(ciphertext, 4, modulus), nonce, modulus),
        lambda: powmod_secret(key.v, nonce, modulus),
    )
    challenge = statement.challenge(a, b)
    response = nonce + challenge * secret
    width = _challenge_bytes(key)
    return challenge.to_bytes(width, "big") + response.to_bytes(proof_bytes(key) - width, "big")


def verify(key: SumKey, holder: str, ciphertext: int, value: int, proof: bytes, context: ListContext) -> None:
    """Verify one holder's partial opening of C.

    Args:
        key: the checked sum key.
        holder: whose share it is said to be.
        ciphertext: C, computed by the caller.
        value: the partial opening received.
        proof: its proof.
        context: what the caller takes it to be for.

    Raises:
        CiphertextError: C is malformed.
        SumKeyError: the holder is a stranger, or the value out of range.
        ProofError: the proof is not of this share, C and context.
    """
    verification, modulus = key.verification_of(holder), key.public.n_square
    key.public.check_ciphertexts([ciphertext])
    check_unit(value, key.public, "a partial opening")
    if len(proof) != proof_bytes(key):
        raise ProofError(f"a share proof has {proof_bytes(key)} bytes: ask the holder again")
    width = _challenge_bytes(key)
    challenge, response = int.from_bytes(proof[:width], "big"), int.from_bytes(proof[width:], "big")

    def commitment(base: int, power: int) -> int:
        removed = inverse(powmod(power, challenge, modulus), modulus)
        return powmod(base, response, modulus) * removed % modulus

    a, b = in_parallel(
        lambda: commitment(pow(ciphertext, 4, modulus), value * value % modulus),
        lambda: commitment(key.v, verification),
    )
    if _Statement(key, holder, ciphertext, value, context).challenge(a, b) != challenge:
        raise ProofError("the share is not the holder's opening of this list: refuse it")
