"""Signed notes, checkpoints, cosignatures: the published examples, round trips, every malformed class."""

from __future__ import annotations

import base64

import hypothesis.strategies as st
import pytest
from hypothesis import given

from keys.signing import SigningKey
from ledger.errors import CheckpointError, NoteError
from ledger.formats.checkpoint import (
    Checkpoint,
    Cosigner,
    cosigned_at,
    sign_checkpoint,
    verify_cosignature,
    verify_signed,
)
from ledger.formats.note import (
    TYPE_COSIGNATURE,
    TYPE_ED25519,
    Note,
    NoteSignature,
    NoteSigner,
    VerifierKey,
    decimal,
    unbase64,
    verify_ed25519,
)
from ledger.merkle import EMPTY_ROOT, leaf_hash

# c2sp.org/signed-note, section "Example".
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ER"
    "YNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
KEY = SigningKey.from_seed(bytes(range(32)))
SIGNER = NoteSigner("log.example/x", KEY)
COSIGNER = Cosigner("witness.example/w", SigningKey.from_seed(bytes(32)))
HEAD = Checkpoint("log.example/x", 7, leaf_hash(b"root"))


def test_the_published_example_verifies():
    key = VerifierKey.parse(VKEY)
    assert key.format() == VKEY
    note = Note.parse(EXAMPLE)
    assert note.format() == EXAMPLE
    verify_ed25519(note, key)


@pytest.mark.parametrize("place", [0, 5, 30, 60, 80, 110])
def test_a_changed_example_fails(place):
    changed = bytearray(EXAMPLE)
    changed[place] ^= 1
    with pytest.raises(NoteError):
        verify_ed25519(Note.parse(bytes(changed)), VerifierKey.parse(VKEY))


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30), st.integers(0, 3))
def test_signed_texts_read_back_and_verify(words, blanks):
    note = SIGNER.sign(f"{words}\n" + "\n" * blanks + "end\n")
    again = Note.parse(note.format())
    assert again == note
    verify_ed25519(again, SIGNER.verifier)


LINE = NoteSignature("k", b"1234", b"5").line()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        f"text\n\n{LINE}"[:-1].encode(),
        f"text\n{LINE}".encode(),
        f"te\tx\n\n{LINE}".encode(),
        f"te\rx\n\n{LINE}".encode(),
        b"te\xffx\n\n" + LINE.encode(),
        b"text\n\n- k MTIzNDU=\n",
        "text\n\n— k\n".encode(),
        "text\n\n—  MTIzNDU=\n".encode(),
        "text\n\n— k+l MTIzNDU=\n".encode(),
        "text\n\n— k\u00a0l MTIzNDU=\n".encode(),
        "text\n\n— k MTIzNA==\n".encode(),
        "text\n\n— k MTIzNDV=\n".encode(),
        "text\n\n— k MTIzNDU\n".encode(),
        "text\n\n— k MTIz NDU=\n".encode(),
        f"text\n\n{LINE * 101}".encode(),
        b"x" * 1_000_001,
    ],
)
def test_malformed_notes_are_refused(data):
    with pytest.raises(NoteError):
        Note.parse(data)


def test_sixteen_and_more_signatures_are_read():
    assert len(Note.parse(f"text\n\n{LINE * 100}".encode()).signatures) == 100


def test_unknown_keys_are_ignored_and_a_known_key_that_fails_rejects():
    note = SIGNER.sign("text\n")
    stranger = NoteSigner("log.example/y", KEY).sign("text\n").signatures[0]
    same_name = NoteSignature(SIGNER.verifier.name, b"abcd", b"x" * 64)
    verify_ed25519(Note(note.text, (stranger, same_name, *note.signatures)), SIGNER.verifier)
    with pytest.raises(NoteError):
        verify_ed25519(Note(note.text, (stranger, same_name)), SIGNER.verifier)
    false = NoteSignature(SIGNER.verifier.name, SIGNER.verifier.id, b"x" * 64)
    with pytest.raises(NoteError):
        verify_ed25519(Note(note.text, (*note.signatures, false)), SIGNER.verifier)


@pytest.mark.parametrize(
    "text",
    [
        "example.com/foo",
        VKEY.replace("530d903a", "530d903b"),
        VKEY.replace("530d903a", "530D903A"),
        VKEY.replace("example.com/foo", "example.com/bar"),
        VKEY.replace("example.com/foo", "example com/foo"),
        VKEY[:-4],
        VKEY[:-4] + "U2k=",
        VKEY + "A",
        "x+00000000+" + base64.b64encode(b"\x02" + bytes(32)).decode(),
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_malformed_verifier_keys_are_refused(text):
    with pytest.raises(NoteError):
        VerifierKey.parse(text)


@pytest.mark.parametrize("text", ["", "01", "-1", "+1", "1 ", "x", "٣", str(1 << 63), "1" * 30])
def test_numbers_without_one_form_are_refused(text):
    with pytest.raises(NoteError):
        decimal(text)


def test_a_text_that_is_no_note_text_is_not_signed():
    for text in ("no newline", "tab\t\n"):
        with pytest.raises(NoteError):
            SIGNER.sign(text)


def test_checkpoints_read_back_and_verify():
    for head in (
        HEAD,
        Checkpoint("log.example/x", 0, EMPTY_ROOT),
        Checkpoint("log.example/x", 7, HEAD.root, ("ext", "2")),
    ):
        note = sign_checkpoint(head, SIGNER)
        assert verify_signed(Note.parse(note.format()), SIGNER.verifier) == head
    assert HEAD.text() == f"log.example/x\n7\n{base64.b64encode(HEAD.root).decode()}\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n7\n", "\n07\n"),
        lambda text: text.replace("\n7\n", "\n-7\n"),
        lambda text: text.replace("\n7\n", "\n\n7\n"),
        lambda text: text.replace("log.example/x\n", "\n"),
        lambda text: text.replace("=", ""),
        lambda text: text + "\n",
        lambda text: text[:-1],
        lambda text: "log.example/x\n7\n",
        lambda text: "log.example/x\n7\nAAAA\n",
    ],
)
def test_malformed_checkpoints_are_refused(change):
    with pytest.raises(CheckpointError):
        Checkpoint.parse(change(HEAD.text()))


def test_a_checkpoint_is_its_own_logs():
    with pytest.raises(CheckpointError):
        sign_checkpoint(Checkpoint("log.example/other", 1, HEAD.root), SIGNER)
    other = NoteSigner("log.example/x", SigningKey.generate())
    with pytest.raises(NoteError):
        verify_signed(sign_checkpoint(HEAD, SIGNER), other.verifier)
    note = SIGNER.sign(Checkpoint("log.example/other", 1, HEAD.root).text())
    with pytest.raises(CheckpointError):
        verify_signed(note, SIGNER.verifier)


def test_a_cosignature_states_its_time():
    line = COSIGNER.cosign(HEAD.text(), 1679315147)
    assert verify_cosignature(HEAD.text(), line, COSIGNER.verifier) == 1679315147
    assert NoteSignature.parse(line.line().rstrip("\n")) == line
    later = COSIGNER.cosign(HEAD.text(), 1679315150)
    assert cosigned_at(Note(HEAD.text(), (later, line)), COSIGNER.verifier) == 1679315150
    assert cosigned_at(sign_checkpoint(HEAD, SIGNER), COSIGNER.verifier) is None


def test_the_published_cosignature_has_the_documented_form():
    # c2sp.org/tlog-cosignature: the key is not published, so only the form and the time are checked.
    line = NoteSignature.parse(
        "— witness.example.com/w1 "
        "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0x"
        "Ue+mbIUBkBIfZ+qnA=="
    )
    assert len(line.blob) == 72
    assert int.from_bytes(line.blob[:8], "big") == 1679315147


@pytest.mark.parametrize("time", [0, -1, 1 << 63])
def test_a_cosignature_needs_a_time(time):
    with pytest.raises(NoteError):
        COSIGNER.cosign(HEAD.text(), time)


def test_false_cosignatures_are_refused():
    line = COSIGNER.cosign(HEAD.text(), 5)
    moved = NoteSignature(line.name, line.key_id, (6).to_bytes(8, "big") + line.blob[8:])
    timeless = NoteSignature(line.name, line.key_id, bytes(8) + line.blob[8:])
    short = NoteSignature(line.name, line.key_id, line.blob[:-1])
    for cheat in (moved, timeless, short, NoteSignature("other", line.key_id, line.blob)):
        with pytest.raises(NoteError):
            verify_cosignature(HEAD.text(), cheat, COSIGNER.verifier)
    with pytest.raises(NoteError):
        verify_cosignature(HEAD.text().replace("7", "8"), line, COSIGNER.verifier)
    plain = VerifierKey(COSIGNER.verifier.name, TYPE_ED25519, COSIGNER.verifier.public)
    with pytest.raises(NoteError):
        verify_cosignature(HEAD.text(), line, plain)
    assert plain.id != VerifierKey(plain.name, TYPE_COSIGNATURE, plain.public).id


@given(st.text(max_size=12))
def test_base64_has_one_form(text):
    try:
        data = unbase64(text)
    except NoteError:
        return
    assert base64.b64encode(data).decode() == text
