"""Evidence of a split view: one format, which is read back and verified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ledger.errors import LedgerError, NoteError, SplitViewError
from ledger.formats.checkpoint import Checkpoint, sign_checkpoint
from ledger.formats.note import NoteSigner
from ledger.formats.split_view import ROLLBACK, SplitView, holds_evidence
from tests.ledger.contract.contract_cases import MEMBERS, signer
from tests.ledger.sequencer.log_cases import LOG, NOW, POLICY


def note(size: int, root: int, by: NoteSigner = LOG) -> bytes:
    return sign_checkpoint(Checkpoint(LOG.verifier.name, size, bytes([root]) * 32), by).format()


def test_what_is_written_is_read_back() -> None:
    plain = SplitView.of(POLICY, (note(5, 1), note(5, 2)), NOW)
    assert SplitView.parse(plain.to_json(), POLICY) == plain
    assert set(json.loads(plain.to_json())) == {"v", "seen", "notes"}
    whole = SplitView.of(
        POLICY,
        (note(5, 1), note(4, 2)),
        NOW,
        kind=ROLLBACK,
        sources=("the mirror's", "the source's"),
        policy=POLICY.format().encode(),
    )
    assert SplitView.parse(whole.to_json(), POLICY) == whole
    assert [checkpoint.size for checkpoint in whole.checkpoints] == [5, 4]


def test_a_pair_has_one_name_whatever_its_order() -> None:
    first = SplitView.of(POLICY, (note(5, 1), note(5, 2)), NOW)
    again = SplitView.of(POLICY, (note(5, 2), note(5, 1)), "2027-01-01T00:00:00Z")
    other = SplitView.of(POLICY, (note(5, 1), note(5, 3)), NOW)
    assert first.file_name == again.file_name != other.file_name
    assert first.file_name.startswith("split-")


def test_only_different_checkpoints_signed_by_the_log_are_evidence() -> None:
    stranger = NoteSigner(LOG.verifier.name, signer(next(iter(MEMBERS))))
    with pytest.raises(NoteError):
        SplitView.of(POLICY, (note(5, 1), note(5, 2, stranger)), NOW)
    with pytest.raises(NoteError):
        SplitView.of(POLICY, (note(5, 1), b"no note"), NOW)
    with pytest.raises(SplitViewError, match="show nothing"):
        SplitView.of(POLICY, (note(5, 1), note(5, 1)), NOW)
    with pytest.raises(SplitViewError, match="show nothing"):
        SplitView.of(POLICY, (note(5, 1), note(6, 2)), NOW, kind=ROLLBACK)


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": "1"},
        {"kind": "quarrel"},
        {"notes": "xy"},
        {"notes": []},
        {"notes": [1, 2]},
        {"notes": None},
        {"sources": []},
        {"policy": 1},
    ],
)
def test_malformed_files_are_refused(change: dict[str, Any], tmp_path: Path) -> None:
    view = SplitView.of(POLICY, (note(5, 1), note(5, 2)), NOW)
    document = json.loads(view.to_json()) | change
    with pytest.raises(LedgerError):
        SplitView.parse(json.dumps(document).encode(), POLICY)
    file = tmp_path / view.file_name
    assert not holds_evidence(file, POLICY)
    for data in (b"", b"[]", b"{", json.dumps(document).encode()):
        file.write_bytes(data)
        assert not holds_evidence(file, POLICY)
    file.write_bytes(view.to_json())
    assert holds_evidence(file, POLICY)
