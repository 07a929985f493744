"""Verifiable oblivious pseudorandom function: RFC 9497, mode VOPRF (0x01), suite ristretto255-SHA512.

Client (office) with inputs x_i, server (department) with key k and public key K = k·G:

    blind       α_i = r_i·H(x_i)      office, r_i fresh; H = HashToGroup of the RFC
    evaluate    β_i = k·α_i           department
    prove       one proof (c, s) that log_G K = log_{α_i} β_i for all i      department
    unblind     N_i = r_i⁻¹·β_i = k·H(x_i)                                   office, after ``verify``

The department learns the number of elements and nothing else: α_i is a uniform point whatever x_i is. The
office learns k·H(x_i) for its own inputs only. The proof (GenerateProof, ComputeComposites, VerifyProof of
RFC 9497 §2.2) is for A = base, B = public, C = inputs, D = outputs:

    seed = SHA-512(len B ‖ B ‖ len seedDST ‖ seedDST)      d_i = HashToScalar(seed, i, C_i, D_i)
    M = Σ d_i·C_i      Z = Σ d_i·D_i = k·M (the prover's short way)
    t2 = r·A   t3 = r·M   c = HashToScalar(B, M, Z, t2, t3)   s = r - c·k
    check: c = HashToScalar(B, M, Z, s·A + c·B, s·M + c·Z)

The same proof shows β_d = r·N_d for all datasets d under "public key" R = r·G, with N as inputs and β as
outputs, without giving r away. As in the RFC, A is not hashed: it must be fixed by the protocol, and is G in
every use here.

**Soundness of a batch.** The RFC derives d_i from B, i, C_i and D_i, not from the rest of the batch. A prover
who knows k can therefore offer D_i = k·C_i + e_i·G for many values e_i and search Σ d_i·e_i = 0 mod L as a
generalised birthday problem (Wagner 2002) over m lists, in about m·2^(252 / (1 + ⌊log2 m⌋)) steps: 2^127 for
m ≤ 3, but about 2^86 for m = 4, 2^54 for 16 and 2^33 for 1024. With ``whole_batch=True`` the seed also takes
SHA-512(A ‖ all inputs ‖ all outputs), so that every d_i depends on every element and the search is gone; such
a proof differs from the RFC's in the seed only. Prover and verifier must choose the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from protocols.errors import GroupError, ProofError
from protocols.hedged import hedged_nonce
from protocols.profiles import SUITE_NAME, VOPRF_MODE
from protocols.psi import group

CONTEXT = b"OPRFV1-" + bytes([VOPRF_MODE]) + b"-" + SUITE_NAME.encode()
"""contextString, RFC 9497 §3.1."""

GROUP_DST = b"HashToGroup-" + CONTEXT
SCALAR_DST = b"HashToScalar-" + CONTEXT
SEED_DST = b"Seed-" + CONTEXT
PROOF_BYTES = 2 * group.SCALAR_BYTES
MAX_BATCH = 1 << 16
"""The RFC encodes an element's position in two bytes."""


@dataclass(frozen=True)
class Proof:
    """A batched proof of equal discrete logarithms.

    Attributes:
        c: challenge, a scalar in 0 … L-1.
        s: response, a scalar in 0 … L-1.
    """

    c: int
    s: int

    def to_bytes(self) -> bytes:
        """64 bytes: c ‖ s, each 32 bytes little-endian, as in RFC 9497 appendix A."""
        return group.scalar_to_bytes(self.c) + group.scalar_to_bytes(self.s)

    @classmethod
    def from_bytes(cls, data: bytes) -> Proof:
        """Read 64 bytes.

        Raises:
            ProofError: wrong length, or a scalar that is not reduced.
        """
        if len(data) != PROOF_BYTES:
            raise ProofError(f"a proof has {PROOF_BYTES} bytes, got {len(data)}: ask the prover for it again")
        half = group.SCALAR_BYTES
        try:
            return cls(group.scalar_from_bytes(data[:half]), group.scalar_from_bytes(data[half:]))
        except GroupError as error:
            raise ProofError(
                "a proof holds a scalar that is not reduced: ask the prover for it again"
            ) from error


def hash_inputs(inputs: Sequence[bytes]) -> list[bytes]:
    """H(x_i) for each input, HashToGroup of the suite.

    Raises:
        GroupError: an input that maps to the identity.
    """
    return group.hash_to_group(inputs, GROUP_DST)


def blind(inputs: Sequence[bytes], scalars: Sequence[int]) -> list[bytes]:
    """α_i = r_i·H(x_i), 32 bytes each.

    Args:
        inputs: x_i, the identifiers in canonical bytes.
        scalars: r_i, a fresh ``group.random_scalar()`` each.

    Raises:
        GroupError: different lengths, or a scalar that is zero or not reduced.
    """
    return group.multiply_each(scalars, hash_inputs(inputs))


def evaluate(k: int, alphas: Sequence[bytes]) -> list[bytes]:
    """β_i = k·α_i, BlindEvaluate without the proof; every element is checked before the key is used.

    Raises:
        GroupError: one bad element refuses all; or k is zero or not reduced.
    """
    group.check_points(alphas)
    return group.multiply(k, alphas)


def unblind(scalars: Sequence[int], betas: Sequence[bytes]) -> list[bytes]:
    """N_i = r_i⁻¹·β_i = k·H(x_i); only after ``verify`` accepted the β.

    Raises:
        GroupError: different lengths, a zero scalar or a bad element.
    """
    return group.multiply_each([group.invert(scalar) for scalar in scalars], betas)


def public_key(k: int) -> bytes:
    """K = k·G, 32 bytes.

    Raises:
        GroupError: k is zero or not reduced.
    """
    return group.multiply_base([k])[0]


def prove(
    k: int,
    base: bytes,
    public: bytes,
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    *,
    nonce: int | None = None,
    whole_batch: bool = False,
) -> Proof:
    """Prove public = k·base and outputs_i = k·inputs_i for all i: GenerateProof with ComputeCompositesFast.

    The caller vouches that the statement is true: for a false one the result is a proof that fails.

    Args:
        k: the secret scalar.
        base: A; ``group.GENERATOR`` in every protocol of this package.
        public: B = k·A.
        inputs: C_i, 1 to 65,536 points.
        outputs: D_i, as many.
        nonce: the random scalar r, for test vectors only; None draws a hedged one (secret, fresh bytes and
            transcript), so that a cloned machine does not reveal k.
        whole_batch: bind every coefficient to the whole batch; False is the RFC exactly. See the module text.

    Raises:
        GroupError: a bad scalar or point.
        ProofError: an empty or too large batch, or lists of different length.
    """
    group.check_points([public, *outputs])
    weights = _weights(base, public, inputs, outputs, whole_batch)
    m = group.sum_of_products(weights, inputs)
    z = group.multiply(k, [m])[0]
    if nonce is None:
        nonce = _hedged_nonce(k, [CONTEXT, base, public, m, z])
    t2, t3 = group.multiply(nonce, [base, m])
    c = _challenge(public, m, z, t2, t3)
    return Proof(c, (nonce - c * k) % group.ORDER)


def verify(
    base: bytes,
    public: bytes,
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    proof: Proof,
    *,
    whole_batch: bool = False,
) -> None:
    """Check that one scalar k gives public = k·base and outputs_i = k·inputs_i for all i: VerifyProof.

    ``public`` must come from the ledger or the certificate, never from the prover.

    Raises:
        ProofError: the proof does not verify, a point is invalid, or the batch is empty, too large or uneven.
    """
    try:
        weights = _weights(base, public, inputs, outputs, whole_batch)
        m = group.sum_of_products(weights, inputs)
        z = group.sum_of_products(weights, outputs)
        t2 = group.sum_of_products([proof.s, proof.c], [base, public])
        t3 = group.sum_of_products([proof.s, proof.c], [m, z])
    except GroupError as error:
        raise ProofError(f"a proof cannot be checked: {error}") from error
    if _challenge(public, m, z, t2, t3) != proof.c:
        raise ProofError(
            "a proof of equal exponents does not verify: the answer was not made with the published key, or "
            "for another batch; do not use it and report the department"
        )


def _weights(
    base: bytes, public: bytes, inputs: Sequence[bytes], outputs: Sequence[bytes], whole_batch: bool
) -> list[int]:
    """Return the coefficients d_i of ComputeComposites."""
    if len(inputs) != len(outputs) or not 0 < len(inputs) <= MAX_BATCH:
        raise ProofError(
            f"a batch of {len(inputs)} inputs and {len(outputs)} outputs: prove 1 to {MAX_BATCH} of "
            "each at a time"
        )
    transcript = _short_fields(public, SEED_DST)
    if whole_batch:
        transcript += _short_fields(hashlib.sha512(b"".join([base, *inputs, *outputs])).digest())
    prefix = _short_fields(hashlib.sha512(transcript).digest())
    return [
        group.hash_to_scalar(
            prefix + index.to_bytes(2, "big") + _short_fields(c, d) + b"Composite", SCALAR_DST
        )
        for index, (c, d) in enumerate(zip(inputs, outputs, strict=True))
    ]


def _challenge(*points: bytes) -> int:
    return group.hash_to_scalar(_short_fields(*points) + b"Challenge", SCALAR_DST)


def _hedged_nonce(k: int, transcript: Sequence[bytes]) -> int:
    """Draw a nonce in 1 … L-1 from the secret, fresh randomness and the whole transcript."""
    wide = hedged_nonce(group.scalar_to_bytes(k), _short_fields(*transcript), length=64)
    return group.check_scalar(int.from_bytes(wide, "little") % group.ORDER)


def _short_fields(*parts: bytes) -> bytes:
    """Each part after its length as u16 big-endian, the form RFC 9497 hashes."""
    return b"".join(len(part).to_bytes(2, "big") + part for part in parts)
