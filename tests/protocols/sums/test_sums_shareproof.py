"""Share proofs: honest ones pass, anything changed is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from protocols.errors import CiphertextError, ProofError, SumKeyError
from protocols.sums.shareproof import ListContext, proof_bytes, prove, verify
from protocols.sums.sumkey import Share
from protocols.sums.threshold import Dealt, partial

Dealing = Callable[[int, int], Dealt]
CONTEXT = ListContext("pilot", "ab" * 16, bytes(range(32)))


class Case:
    """One honest opening of one total, 2 of 3."""

    def __init__(self, dealt: Dealt) -> None:
        self.key = dealt.key
        self.shares = dealt.shares
        public = dealt.key.public
        self.ciphertext = public.combine([(public.encrypt(700, 12345), 1), (public.encrypt(20, 999), -1)])
        self.share = dealt.shares[1]
        self.value = partial(self.key, self.share, self.ciphertext)
        self.proof = prove(self.key, self.share, self.ciphertext, self.value, CONTEXT)

    def verify(
        self,
        *,
        holder: str = "trustee-1",
        ciphertext: int | None = None,
        value: int | None = None,
        proof: bytes | None = None,
        context: ListContext = CONTEXT,
    ) -> None:
        verify(
            self.key,
            holder,
            self.ciphertext if ciphertext is None else ciphertext,
            self.value if value is None else value,
            self.proof if proof is None else proof,
            context,
        )


@pytest.fixture(scope="module")
def case(dealing: Dealing) -> Case:
    return Case(dealing(2, 3))


def test_every_holder_proves_its_own_opening(dealing: Dealing) -> None:
    for threshold, count in [(2, 2), (3, 5)]:
        key, shares = dealing(threshold, count).key, dealing(threshold, count).shares
        for share in shares:
            value = partial(key, share, 1 + key.public.n)
            proof = prove(key, share, 1 + key.public.n, value, CONTEXT)
            assert len(proof) == proof_bytes(key)
            verify(key, share.holder, 1 + key.public.n, value, proof, CONTEXT)


def test_it_holds_at_2048_bits(large: Dealt) -> None:
    Case(large).verify()


@pytest.mark.parametrize(
    "context",
    [
        replace(CONTEXT, network="other"),
        replace(CONTEXT, query="cd" * 16),
        replace(CONTEXT, list_digest=bytes(32)),
        replace(CONTEXT, list_digest=b""),
        ListContext("pilota", "b" + "ab" * 15 + "a", CONTEXT.list_digest),
    ],
)
def test_a_share_of_another_context_is_refused(case: Case, context: ListContext) -> None:
    with pytest.raises(ProofError):
        case.verify(context=context)


def test_a_share_of_another_total_is_refused(case: Case) -> None:
    other = case.key.public.encrypt(5, 5)
    with pytest.raises(ProofError):
        case.verify(ciphertext=other)
    with pytest.raises(ProofError):
        case.verify(ciphertext=other, value=partial(case.key, case.share, other))


def test_a_wrong_share_is_refused(case: Case) -> None:
    n = case.key.public.n
    own = partial(case.key, case.shares[0], case.ciphertext)
    for value in (own, case.value + 1, n * n - case.value, case.value * (1 + n) % (n * n), 1):
        with pytest.raises(ProofError):
            case.verify(value=value)


def test_a_wrong_share_cannot_be_proved(case: Case) -> None:
    modulus = case.key.public.n_square
    for value in (pow(case.value, 2, modulus), case.value * (1 + case.key.public.n) % modulus):
        proof = prove(case.key, case.share, case.ciphertext, value, CONTEXT)
        with pytest.raises(ProofError):
            case.verify(value=value, proof=proof)
    wrong = Share("trustee-1", case.share.value + 1)
    value = partial(case.key, wrong, case.ciphertext)
    with pytest.raises(ProofError):
        case.verify(value=value, proof=prove(case.key, wrong, case.ciphertext, value, CONTEXT))


def test_a_proof_of_another_holder_is_refused(case: Case) -> None:
    for holder in ("office", "trustee-2"):
        with pytest.raises(ProofError):
            case.verify(holder=holder)
    with pytest.raises(SumKeyError):
        case.verify(holder="stranger")


def test_a_proof_under_another_key_is_refused(case: Case, dealing: Dealing) -> None:
    other = dealing(3, 5).key
    with pytest.raises(ProofError):
        verify(other, "trustee-1", case.ciphertext, case.value, case.proof, CONTEXT)
    for changed in (replace(case.key, v=pow(case.key.v, 4, case.key.public.n_square)),):
        with pytest.raises(ProofError):
            verify(changed, "trustee-1", case.ciphertext, case.value, case.proof, CONTEXT)


@pytest.mark.parametrize("place", [0, 15, 31, 32, 33, 100, -1])
def test_each_changed_byte_of_a_proof_is_refused(case: Case, place: int) -> None:
    changed = bytearray(case.proof)
    changed[place] ^= 1
    with pytest.raises(ProofError):
        case.verify(proof=bytes(changed))


@pytest.mark.parametrize("proof", [b"", bytes(226), bytes(225), b"\xff" * 226])
def test_a_made_up_proof_is_refused(case: Case, proof: bytes) -> None:
    assert proof_bytes(case.key) == 226
    with pytest.raises(ProofError):
        case.verify(proof=proof)


def test_malformed_values_are_refused(case: Case, small_primes_pair: tuple[int, int]) -> None:
    n = case.key.public.n
    for bad in (0, n, n * n, n * n + 1, 5 * small_primes_pair[0]):
        with pytest.raises(CiphertextError):
            case.verify(ciphertext=bad)
        with pytest.raises(SumKeyError):
            case.verify(value=bad)
        with pytest.raises(CiphertextError):
            prove(case.key, case.share, bad, case.value, CONTEXT)


def test_the_nonce_is_hedged(case: Case) -> None:
    def repeated(context: ListContext, share: Share = case.share) -> int:
        proof = prove(case.key, share, case.ciphertext, case.value, context, random=bytes)
        challenge, response = int.from_bytes(proof[:32], "big"), int.from_bytes(proof[32:], "big")
        return response - challenge * case.key.delta * share.value

    other = replace(CONTEXT, query="cd" * 16)
    # A random source stuck at zero: the same transcript repeats, another one takes another nonce.
    assert repeated(CONTEXT) == repeated(CONTEXT)
    assert repeated(CONTEXT) != repeated(other)
    assert prove(case.key, case.share, case.ciphertext, case.value, CONTEXT) != case.proof
