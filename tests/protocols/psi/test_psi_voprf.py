"""RFC 9497, mode VOPRF: published vectors, a second implementation, and every way to cheat the proof."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.errors import GroupError, ProofError
from protocols.psi import group, voprf

VECTORS = Path(__file__).parents[4] / "shared" / "vectors" / "rfc9497.json"
G = group.GENERATOR
SCALARS = st.integers(1, group.ORDER - 1)


@pytest.fixture(scope="module")
def suite() -> dict[str, Any]:
    """Appendix A.1.2 of RFC 9497."""
    if not VECTORS.exists():
        pytest.skip(
            "the folder shared/vectors with the RFC's published vectors is absent beside the repository"
        )
    suites: list[dict[str, Any]] = json.loads(VECTORS.read_text())
    return next(s for s in suites if s["identifier"] == "ristretto255-SHA512" and s["mode"] == 1)


def points(text: str) -> list[bytes]:
    return [bytes.fromhex(part) for part in text.split(",")]


def scalars(text: str) -> list[int]:
    return [group.scalar_from_bytes(part) for part in points(text)]


def batch(size: int, key: int = 7) -> tuple[bytes, list[bytes], list[bytes]]:
    """Public key, inputs and outputs of an honest answer."""
    inputs = voprf.hash_inputs([b"input %d" % index for index in range(size)])
    return voprf.public_key(key), inputs, voprf.evaluate(key, inputs)


def verifies(
    base: bytes, public: bytes, inputs: list[bytes], outputs: list[bytes], proof: voprf.Proof, *, whole: bool
) -> bool:
    try:
        voprf.verify(base, public, inputs, outputs, proof, whole_batch=whole)
    except ProofError:
        return False
    return True


def finalize(message: bytes, element: bytes) -> bytes:
    """Finalize of RFC 9497 §3.3.1, which this project does not use, for comparison only."""
    parts = (
        len(message).to_bytes(2, "big") + message + len(element).to_bytes(2, "big") + element + b"Finalize"
    )
    return hashlib.sha512(parts).digest()


def derive_key(seed: bytes, info: bytes) -> int:
    """DeriveKeyPair of RFC 9497 §3.2.1, for comparison only."""
    return group.hash_to_scalar(
        seed + len(info).to_bytes(2, "big") + info + b"\x00", b"DeriveKeyPair" + voprf.CONTEXT
    )


@pytest.mark.shared
def test_key_and_domains_of_the_rfc(suite: dict[str, Any]) -> None:
    assert voprf.GROUP_DST.hex() == suite["groupDST"]
    key = derive_key(bytes.fromhex(suite["seed"]), bytes.fromhex(suite["keyInfo"]))
    assert group.scalar_to_bytes(key).hex() == suite["skSm"]
    assert voprf.public_key(key).hex() == suite["pkSm"]


@pytest.mark.shared
def test_vectors_of_the_rfc(suite: dict[str, Any]) -> None:
    key, public = scalars(suite["skSm"])[0], bytes.fromhex(suite["pkSm"])
    assert len(suite["vectors"]) == 3
    for vector in suite["vectors"]:
        inputs, blinds = points(vector["Input"]), scalars(vector["Blind"])
        alphas = voprf.blind(inputs, blinds)
        assert alphas == points(vector["BlindedElement"])
        betas = voprf.evaluate(key, alphas)
        assert betas == points(vector["EvaluationElement"])
        proof = voprf.prove(key, G, public, alphas, betas, nonce=scalars(vector["Proof"]["r"])[0])
        assert proof.to_bytes().hex() == vector["Proof"]["proof"]
        voprf.verify(
            G, public, alphas, betas, voprf.Proof.from_bytes(bytes.fromhex(vector["Proof"]["proof"]))
        )
        elements = voprf.unblind(blinds, betas)
        assert [finalize(x, n) for x, n in zip(inputs, elements, strict=True)] == points(vector["Output"])


def test_a_second_implementation_agrees() -> None:
    other = pytest.importorskip("voprf", reason="the test oracle voprf is not installed").ristretto
    seed, message = bytes(range(32)), b"CN-RID:110101199003071234"
    server, key = other.Evaluator.from_seed(seed, b"info"), derive_key(seed, b"info")
    public = server.public_key.serialize()
    assert public == voprf.public_key(key)
    _, blinded = other.Client.blind(message)
    alpha = blinded.serialize()
    answer = server.evaluate(blinded).serialize()
    betas = voprf.evaluate(key, [alpha])
    assert answer[voprf.PROOF_BYTES :] == betas[0]
    voprf.verify(G, public, [alpha], betas, voprf.Proof.from_bytes(answer[: voprf.PROOF_BYTES]))
    blind = group.random_scalar()
    elements = voprf.unblind([blind], voprf.evaluate(key, voprf.blind([message], [blind])))
    assert finalize(message, elements[0]) == server.evaluate_known_input(message)


def test_a_second_implementation_accepts_our_proof() -> None:
    other = pytest.importorskip("voprf", reason="the test oracle voprf is not installed").ristretto
    key, message = group.random_scalar(), b"CN-RID:110101199003071234"
    client, blinded = other.Client.blind(message)
    alpha, public = blinded.serialize(), voprf.public_key(key)
    betas = voprf.evaluate(key, [alpha])
    proof = voprf.prove(key, G, public, [alpha], betas)
    output = other.VerifiableOutput.deserialize(proof.to_bytes() + betas[0])
    expected = finalize(message, group.multiply(key, voprf.hash_inputs([message]))[0])
    assert client.finalize(output, other.PublicKey.deserialize(public)) == expected


@settings(max_examples=20, deadline=None)
@given(SCALARS, st.lists(st.tuples(st.binary(max_size=40), SCALARS), min_size=1, max_size=5), st.booleans())
def test_blinding_never_changes_the_result(key: int, rows: list[tuple[bytes, int]], whole: bool) -> None:
    inputs, blinds = [row[0] for row in rows], [row[1] for row in rows]
    public, alphas = voprf.public_key(key), voprf.blind(inputs, blinds)
    betas = voprf.evaluate(key, alphas)
    proof = voprf.prove(key, G, public, alphas, betas, whole_batch=whole)
    assert voprf.Proof.from_bytes(proof.to_bytes()) == proof
    voprf.verify(G, public, alphas, betas, proof, whole_batch=whole)
    assert voprf.unblind(blinds, betas) == group.multiply(key, voprf.hash_inputs(inputs))


def test_one_blind_links_the_elements_of_several_datasets() -> None:
    """β_d = r·N_d for all datasets d under R = r·G: the office's proof, without giving r away."""
    blind, keys = group.random_scalar(), [11, 12, 13]
    alpha = voprf.blind([b"a person"], [blind])
    betas = [voprf.evaluate(key, alpha)[0] for key in keys]
    elements = voprf.unblind([blind] * 3, betas)
    public = voprf.public_key(blind)
    proof = voprf.prove(blind, G, public, elements, betas)
    voprf.verify(G, public, elements, betas, proof)
    stranger = group.multiply(keys[1], voprf.hash_inputs([b"another person"]))[0]
    with pytest.raises(ProofError):
        voprf.verify(G, public, [elements[0], stranger, elements[2]], betas, proof)


@pytest.mark.parametrize("whole", [False, True])
def test_a_proof_holds_for_its_own_statement_only(whole: bool) -> None:
    public, inputs, outputs = batch(3)
    proof = voprf.prove(7, G, public, inputs, outputs, whole_batch=whole)
    other_public, other_inputs, other_outputs = batch(3, key=8)
    swapped = [outputs[1], outputs[0], outputs[2]]
    cheats = {
        "another key": (G, other_public, inputs, outputs),
        "made with another key": (G, public, inputs, other_outputs),
        "another key throughout": (G, other_public, other_inputs, other_outputs),
        "another base": (inputs[0], public, inputs, outputs),
        "swapped outputs": (G, public, inputs, swapped),
        "both swapped": (G, public, [inputs[1], inputs[0], inputs[2]], swapped),
        "part of the batch": (G, public, inputs[:2], outputs[:2]),
        "a longer batch": (G, public, [*inputs, inputs[0]], [*outputs, outputs[0]]),
        "another input": (G, public, [*inputs[:2], G], outputs),
        "one wrong output": (G, public, inputs, [*outputs[:2], other_outputs[2]]),
    }
    accepted = [name for name, cheat in cheats.items() if verifies(*cheat, proof, whole=whole)]
    assert accepted == []
    for wrong in (
        replace(proof, c=(proof.c + 1) % group.ORDER),
        replace(proof, s=(proof.s + 1) % group.ORDER),
        replace(proof, s=0),
        voprf.Proof(proof.s, proof.c),
        voprf.Proof(0, 0),
    ):
        with pytest.raises(ProofError):
            voprf.verify(G, public, inputs, outputs, wrong, whole_batch=whole)
    with pytest.raises(ProofError):
        voprf.verify(G, public, inputs, outputs, proof, whole_batch=not whole)


def test_a_proof_made_with_another_key_than_the_published_fails() -> None:
    public, inputs, _ = batch(4)
    outputs = voprf.evaluate(8, inputs)
    with pytest.raises(ProofError):
        voprf.verify(G, public, inputs, outputs, voprf.prove(8, G, public, inputs, outputs))


def test_errors_that_cancel_in_an_unweighted_sum_do_not_cancel() -> None:
    public, inputs, outputs = batch(2)
    shifted = group.add([outputs[0]], [G]) + group.subtract([outputs[1]], [G])
    with pytest.raises(ProofError):
        voprf.verify(G, public, inputs, shifted, voprf.prove(7, G, public, inputs, shifted))


@pytest.mark.parametrize("whole", [False, True])
def test_what_a_weight_depends_on(whole: bool) -> None:
    """The RFC's weight of an element ignores the rest of the batch; the whole-batch form does not."""
    public, inputs, outputs = batch(3)
    before = voprf._weights(G, public, inputs, outputs, whole)
    after = voprf._weights(G, public, inputs, [*outputs[:2], G], whole)
    assert (before[:2] == after[:2]) is not whole
    assert before[2] != after[2]


def test_bad_elements_stop_the_answer_before_the_key_is_used() -> None:
    _, inputs, _ = batch(2)
    for bad in (group.IDENTITY, inputs[0][:31], b"\xff" * 32, (1).to_bytes(32, "little")):
        with pytest.raises(GroupError, match="point 1 "):
            voprf.evaluate(0, [inputs[0], bad])
        with pytest.raises(GroupError):
            voprf.unblind([3, 4], [inputs[0], bad])
        with pytest.raises(ProofError):
            voprf.verify(G, voprf.public_key(7), [inputs[0], bad], inputs, voprf.Proof(1, 1))
        with pytest.raises(ProofError):
            voprf.verify(G, bad, inputs, inputs, voprf.Proof(0, 1))
        with pytest.raises(GroupError):
            voprf.prove(7, G, voprf.public_key(7), inputs, [inputs[0], bad])
    with pytest.raises(GroupError, match="zero"):
        voprf.blind([b"x"], [0])


def test_batches_and_encodings_are_bounded() -> None:
    public, inputs, outputs = batch(2)
    for ins, outs in (([], []), (inputs, outputs[:1]), ([G] * 65537, [G] * 65537)):
        with pytest.raises(ProofError, match="a batch of"):
            voprf.verify(G, public, ins, outs, voprf.Proof(1, 1))
    for data in (
        b"",
        bytes(63),
        bytes(65),
        bytes(32) + b"\xff" * 32,
        group.ORDER.to_bytes(32, "little") + bytes(32),
    ):
        with pytest.raises(ProofError):
            voprf.Proof.from_bytes(data)


def test_nonces_are_fresh() -> None:
    public, inputs, outputs = batch(1)
    first, second = (voprf.prove(7, G, public, inputs, outputs) for _ in range(2))
    assert first.c != second.c
    assert (first.s + 7 * first.c) % group.ORDER != (second.s + 7 * second.c) % group.ORDER
