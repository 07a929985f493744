"""Trust policies and receipts: the file's form, the quorum, and proofs that must fail."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given

from keys.signing import SigningKey
from ledger.errors import NoteError, PolicyError, QuorumError, ReceiptError
from ledger.formats.checkpoint import Cosigner
from ledger.formats.note import TYPE_COSIGNATURE, Note, NoteSignature, NoteSigner, VerifierKey
from ledger.formats.policy import Policy, WitnessKey, quorum_size
from ledger.formats.receipt import Receipt
from ledger.merkle import inclusion_path
from tests.ledger.sequencer.log_cases import (
    COSIGNERS,
    LOG,
    MOMENT,
    POLICY,
    cosigned,
    signed_head,
    some_leaves,
    tree_of,
)

TEXT = POLICY.format()
LEAVES = some_leaves(9)
NOTE = cosigned(LEAVES)


def test_quorum_sizes():
    assert [quorum_size(n) for n in range(1, 11)] == [2, 2, 2, 3, 4, 4, 5, 6, 6, 7]


@given(st.integers(2, 200))
def test_two_quorums_share_more_than_the_faulty(n):
    faulty, k = (n - 1) // 3, quorum_size(n)
    assert 2 * k - n > faulty
    assert k <= n


def test_the_canonical_text_reads_back():
    again = Policy.parse(TEXT)
    assert again == POLICY
    assert again.format() == TEXT
    assert again.fingerprint == POLICY.fingerprint
    assert (POLICY.quorum, len(POLICY.witnesses), POLICY.origin) == (4, 6, LOG.verifier.name)


def test_a_log_is_no_witness_of_itself():
    """One key that is counted twice would be a quorum of fewer parties than it says."""
    own = VerifierKey("w-log", TYPE_COSIGNATURE, LOG.verifier.public)
    for more in (
        {"witnesses": (*POLICY.witnesses, WitnessKey("w-log", own))},
        {"further": (WitnessKey("w-log", own, "https://w"),)},
    ):
        with pytest.raises(PolicyError, match="cannot be its own witness"):
            replace(POLICY, **more)


def test_the_specifications_freedoms_are_read():
    lines = TEXT.split("\n")
    loose = "# 注释\n \t\n" + "\n".join(
        [*lines[1:7], "  " + lines[0].replace(" ", "\t ") + " https://log ", *lines[7:]]
    )
    assert Policy.parse(loose).witnesses == POLICY.witnesses
    assert Policy.parse(loose).log_url == "https://log"
    assert Policy.parse(TEXT.replace("group witnesses 4", "group witnesses all")).quorum == 6
    assert Policy.parse(TEXT.replace("group witnesses 4", "group witnesses any")).quorum == 1
    url = TEXT.replace("\nwitness s-county/desk", "\nwitness s-county/desk", 1)
    assert Policy.parse(url.replace("\ngroup", " https://w\ngroup", 1)).witnesses[-1].url == "https://w"


WITNESS = TEXT.split("\n")[1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        TEXT[:-1],
        TEXT.replace("quorum", "quorums"),
        TEXT.replace("quorum witnesses", "quorum none"),
        TEXT.replace("quorum witnesses", "quorum s-county/desk"),
        TEXT + "quorum witnesses\n",
        TEXT.replace("group witnesses 4", "group witnesses 0"),
        TEXT.replace("group witnesses 4", "group witnesses 7"),
        TEXT.replace("group witnesses 4", "group witnesses 04"),
        TEXT.replace("group witnesses 4", "group witnesses some"),
        TEXT.replace("group witnesses 4", "group none 4"),
        TEXT.replace(" s-county/desk s-county/office", " s-county/desk s-county/desk"),
        TEXT.replace(" s-county/desk s-county/office", " s-county/office"),
        TEXT.replace(" s-county/desk s-county/office", " s-county/desk stranger"),
        TEXT + TEXT,
        f"{WITNESS}\n{TEXT}",
        TEXT.replace("log ", "log x "),
        TEXT.replace("log ", "witness "),
        TEXT.replace("\n", "\r\n"),
        "\x00" + TEXT,
        TEXT.replace(COSIGNERS[0].verifier.format(), COSIGNERS[1].verifier.format()),
        TEXT.replace(COSIGNERS[0].verifier.format(), LOG.verifier.format()),
        TEXT.replace(LOG.verifier.format(), COSIGNERS[0].verifier.format()),
        TEXT.split("quorum")[0],
    ],
)
def test_malformed_policies_are_refused(text):
    with pytest.raises(PolicyError):
        Policy.parse(text)


def test_one_key_under_two_names_is_refused():
    twice = Cosigner("another/name", SigningKey.from_seed(bytes(32))).verifier
    with pytest.raises(PolicyError):
        Policy.create(LOG.verifier, [twice, Cosigner("x", SigningKey.from_seed(bytes(32))).verifier])
    with pytest.raises(PolicyError):
        Policy.create(LOG.verifier, [twice])


def test_a_quorum_verifies_and_names_its_times():
    verified = POLICY.verify_checkpoint(NOTE)
    assert verified.checkpoint.size == 9
    assert dict(verified.cosigned) == {cosigner.verifier.name: MOMENT for cosigner in COSIGNERS[:4]}
    assert verified.quorum_time(4) == MOMENT


def test_a_short_quorum_names_the_missing():
    with pytest.raises(QuorumError) as caught:
        POLICY.verify_checkpoint(cosigned(LEAVES, 3))
    assert caught.value.missing == tuple(cosigner.verifier.name for cosigner in COSIGNERS[3:])


def test_one_witness_counts_once_and_strangers_do_not():
    note = signed_head(LEAVES)
    repeated = tuple(COSIGNERS[0].cosign(note.text, MOMENT + step) for step in range(4))
    strangers = tuple(
        Cosigner(f"x{number}", SigningKey.generate()).cosign(note.text, MOMENT) for number in range(4)
    )
    for lines in (repeated, strangers):
        with pytest.raises(QuorumError):
            POLICY.verify_checkpoint(Note(note.text, note.signatures + lines).format())


def test_a_known_key_that_fails_rejects_even_above_the_quorum():
    note = Note.parse(cosigned(LEAVES, 5))
    good = note.signatures[-1]
    bad = NoteSignature(good.name, good.key_id, good.blob[:-1] + bytes([good.blob[-1] ^ 1]))
    with pytest.raises(NoteError):
        POLICY.verify_checkpoint(Note(note.text, (*note.signatures[:-1], bad)).format())


def test_another_logs_checkpoint_is_refused():
    other = NoteSigner(LOG.verifier.name, SigningKey.generate())
    note = Note.parse(NOTE)
    forged = Note(note.text, (*other.sign(note.text).signatures, *note.signatures[1:]))
    with pytest.raises(NoteError):
        POLICY.verify_checkpoint(forged.format())


def receipt(index: int) -> Receipt:
    return Receipt(index, tuple(inclusion_path(index, len(LEAVES), tree_of(LEAVES))), NOTE)


@pytest.mark.parametrize("index", range(9))
def test_receipts_read_back_and_verify(index):
    one = receipt(index)
    assert Receipt.parse(one.format()) == one
    assert one.verify(POLICY, LEAVES[index]).checkpoint.size == 9


def test_extra_data_is_carried_but_proves_nothing():
    one = Receipt(0, receipt(0).path, NOTE, b"")
    assert Receipt.parse(one.format()) == one
    assert b"\nextra \n" in one.format()


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data.replace(b"@v1", b"@v2"),
        lambda data: data.replace(b"index 4", b"index 04"),
        lambda data: data.replace(b"index 4\n", b""),
        lambda data: data.replace(b"\n\n", b"\n", 1),
        lambda data: data.replace(b"index 4\n", b"index 4\nAAAA\n"),
        lambda data: data.replace(b"index 4\n", b"index 4\n" + data.split(b"\n")[2] * 2 + b"\n"),
        lambda data: data.replace(b"index 4\n", b"index 4\nextra AAAA\n"),
        lambda data: b"\xff" + data,
        lambda data: data.replace(b"index 4\n", b"index 4\n" + (data.split(b"\n")[2] + b"\n") * 64),
    ],
)
def test_malformed_receipts_are_refused(change):
    with pytest.raises(ReceiptError):
        Receipt.parse(change(receipt(4).format()))


def test_receipts_that_prove_something_else_fail():
    one = receipt(4)
    short = Receipt(4, one.path, cosigned(LEAVES, 3))
    other_tree = Receipt(4, one.path, cosigned(some_leaves(8)))
    for cheat in (short, other_tree, receipt(5), Receipt(4, one.path[:-1], NOTE), Receipt(4, one.path, b"x")):
        with pytest.raises(ReceiptError):
            cheat.verify(POLICY, LEAVES[4])
    with pytest.raises(ReceiptError):
        one.verify(POLICY, LEAVES[4] + b" ")


@given(st.data())
def test_one_changed_byte_of_a_receipt_never_proves_another_statement(data):
    good = receipt(4).format()
    place = data.draw(st.integers(0, len(good) - 1))
    changed = bytearray(good)
    changed[place] ^= data.draw(st.integers(1, 255))
    try:
        parsed = Receipt.parse(bytes(changed))
        verified = parsed.verify(POLICY, LEAVES[4])
    except ReceiptError:
        return
    assert (parsed.index, verified.checkpoint.size) == (4, 9)
