"""A mirror is a public folder that verifies after every run, however the run before it ended."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger.audit.mirror import Mirrored, update_mirror
from ledger.audit.source import FolderSource, LogSource
from ledger.audit.verify import trace_root, verify_folder
from ledger.errors import (
    ForkError,
    LogUnavailableError,
    MirrorMissingError,
    RollbackError,
    TileError,
    TileMissingError,
    VerificationError,
)
from ledger.formats.checkpoint import Checkpoint, sign_checkpoint
from ledger.formats.note import Note
from ledger.formats.policy import Policy
from ledger.formats.split_view import SplitView
from ledger.formats.tiles import Tile
from tests.ledger.audit.growing_folder import Growing
from tests.ledger.sequencer.log_cases import COSIGNERS, LOG, MOMENT, POLICY, cheap, cosigned, leaf

PINNED = POLICY.format().encode()


@pytest.fixture
def log(tmp_path: Path) -> Growing:
    return Growing(tmp_path / "public")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "copy"


class Counting:
    """A folder source that counts what is asked, and can be made to fail or to change the log meanwhile."""

    def __init__(self, root: Path) -> None:
        self._folder = FolderSource(root)
        self.asked: list[str] = []
        self.before: Callable[[str], None] = lambda name: None

    @property
    def place(self) -> str:
        return self._folder.place

    def fetch(self, name: str, limit: int) -> bytes:
        self.before(name)
        self.asked.append(name)
        return self._folder.fetch(name, limit)

    def names(self) -> Iterator[str] | None:
        return None


def some(count: int) -> list[bytes]:
    return [leaf() for _ in range(count)]


def run(log: Growing | LogSource, copy: Path, policy: bytes | None = PINNED) -> Mirrored:
    source = FolderSource(log.root) if isinstance(log, Growing) else log
    return update_mirror(source, copy, policy=policy)


def contents(root: Path) -> dict[str, bytes]:
    return {
        file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()
    }


def is_whole(copy: Path, size: int) -> None:
    assert verify_folder(copy, policy=PINNED, apply=cheap).size == size


@pytest.mark.parametrize("sizes", [(1,), (3, 5), (255, 256, 257), (256,), (300, 300, 520, 1100)])
def test_a_mirror_is_the_logs_folder_without_what_is_superseded(
    log: Growing, copy: Path, sizes: tuple[int, ...]
) -> None:
    for size in sizes:
        log.add(*some(size - len(log.leaves)))
        assert run(log, copy).head.checkpoint.size == size
        is_whole(copy, size)
    log.folder.close()
    assert contents(copy) == contents(log.root)
    assert not copy.with_name("copy.mirror").exists()


def test_only_what_is_new_is_read(log: Growing, copy: Path) -> None:
    log.add(*some(1030))
    run(log, copy)
    log.add(*some(10))
    source = Counting(log.root)
    found = run(source, copy)
    assert (found.before, found.head.checkpoint.size) == (1030, 1040)
    assert sorted(source.asked) == [
        "checkpoint",
        "policy",
        "tile/0/004.p/16",
        "tile/1/000.p/4",
        "tile/entries/004.p/16",
    ]


def test_fresher_cosignatures_are_taken_and_older_ones_are_not(log: Growing, copy: Path) -> None:
    log.add(*some(3))
    run(log, copy)
    fresh, stale = cosigned(log.leaves, time=MOMENT + 60), cosigned(log.leaves, time=MOMENT - 60)
    for note in (fresh, stale):
        log.folder.publish(note, 3)
        run(log, copy)
        assert (copy / "checkpoint").read_bytes() == fresh
    is_whole(copy, 3)


def test_the_log_goes_on_while_it_is_mirrored(log: Growing, copy: Path) -> None:
    log.add(*some(5))
    source = Counting(log.root)

    def move(name: str) -> None:
        if name.startswith("tile/") and len(log.leaves) < 8:
            log.add(*some(1))
            log.time += 60
            log.add()

    source.before = move
    assert run(source, copy).head.checkpoint.size == 8
    is_whole(copy, 8)


def test_a_run_that_breaks_off_goes_on_where_it_was(log: Growing, copy: Path) -> None:
    log.add(*some(2000))
    bundles = [f"tile/entries/00{index}" for index in range(7)]
    fetched: list[str] = []
    for stop in (3, 6):
        source = Counting(log.root)

        def fail(name: str, source: Counting = source, stop: int = stop) -> None:
            if name == bundles[stop]:
                raise LogUnavailableError("the line is cut: try again")

        source.before = fail
        with pytest.raises(LogUnavailableError):
            run(source, copy)
        assert not (copy / "checkpoint").exists()
        fetched += [name for name in source.asked if name.startswith("tile/entries")]
    source = Counting(log.root)
    run(source, copy)
    fetched += [name for name in source.asked if name.startswith("tile/entries")]
    is_whole(copy, 2000)
    assert set(bundles[:3]) <= set(fetched)
    assert [fetched.count(name) for name in bundles[:3]] == [1, 1, 1]


def test_pending_files_that_were_torn_are_fetched_again(log: Growing, copy: Path) -> None:
    log.add(*some(700))
    source = Counting(log.root)

    def fail(name: str) -> None:
        if name.startswith("tile/entries/002"):
            raise LogUnavailableError("the line is cut: try again")

    source.before = fail
    with pytest.raises(LogUnavailableError):
        run(source, copy)
    torn = copy.with_name("copy.mirror") / "pending/tile/entries/000"
    torn.write_bytes(torn.read_bytes()[:100])
    run(log, copy)
    is_whole(copy, 700)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("moves", [0, 1, 3, 4])
def test_a_kill_while_files_are_put_in_place_is_made_up_for_without_the_source(
    log: Growing, copy: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    log.add(*some(300))
    run(log, copy)
    log.add(*some(300))
    left, replace = [moves], Path.replace

    def dying(self: Path, target: Path) -> Path:
        if "pending" in self.parts:
            if not left[0]:
                raise Killed
            left[0] -= 1
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", dying)
    with pytest.raises(Killed):
        run(log, copy)
    monkeypatch.undo()

    def gone(name: str) -> None:
        raise LogUnavailableError("the source is gone: try again")

    source = Counting(log.root)
    source.before = gone
    with pytest.raises(LogUnavailableError):
        run(source, copy)
    is_whole(copy, 600)


def evidence(copy: Path) -> list[SplitView]:
    files = sorted(copy.with_name("copy.mirror").glob("evidence/*"))
    views = [SplitView.parse(file.read_bytes(), POLICY) for file in files]
    assert [file.name for file in files] == [view.file_name for view in views]
    return views


def test_a_rollback_is_refused_and_both_notes_are_kept(log: Growing, copy: Path, tmp_path: Path) -> None:
    log.add(*some(300))
    old = Path(shutil.copytree(log.root, tmp_path / "old"))
    log.add(*some(10))
    run(log, copy)
    kept = contents(copy)
    for _ in range(2):
        with pytest.raises(
            RollbackError, match=r"rollback.*a replica that lags: ask the source itself first"
        ):
            run(FolderSource(old), copy)
    assert contents(copy) == kept
    [found] = evidence(copy)
    assert found.kind == "rollback"
    assert found.notes == ((copy / "checkpoint").read_bytes(), (old / "checkpoint").read_bytes())
    log.add(*some(1))
    run(log, copy)
    is_whole(copy, 311)


@pytest.mark.parametrize("count", [200, 300, 301, 700])
def test_a_fork_is_refused_and_both_notes_are_kept(
    log: Growing, copy: Path, tmp_path: Path, count: int
) -> None:
    leaves = some(300)
    log.add(*leaves)
    run(log, copy)
    kept = contents(copy)
    other = Growing(tmp_path / "other")
    other.add(*leaves[:150], *some(count - 150))
    with pytest.raises(ForkError, match="fork"):
        run(other, copy)
    assert contents(copy) == kept
    [found] = evidence(copy)
    notes = [POLICY.verify_checkpoint(note) for note in found.notes]
    assert [note.checkpoint.size for note in notes] == [300, count]
    assert (found.kind, found.policy) == ("split", PINNED)


def test_a_fork_of_what_was_only_pending_is_refused_too(log: Growing, copy: Path, tmp_path: Path) -> None:
    leaves = some(300)
    log.add(*leaves)
    source = Counting(log.root)

    def fail(name: str) -> None:
        if name.startswith("tile/entries"):
            raise LogUnavailableError("the line is cut: try again")

    source.before = fail
    with pytest.raises(LogUnavailableError):
        run(source, copy)
    other = Growing(tmp_path / "other")
    other.add(*leaves[:299], *some(5))
    with pytest.raises(ForkError, match="fork"):
        run(other, copy)
    assert len(evidence(copy)) == 1
    assert not copy.exists()


def test_tampering_is_named_and_nothing_is_kept(log: Growing, copy: Path) -> None:
    log.add(*some(700))
    for name in contents(log.root):
        file = log.root / name
        data = file.read_bytes()
        if name == "policy":
            continue
        file.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
        if name.startswith("tile/0/") and not name.startswith("tile/0/002"):
            run(log, copy)  # full tiles of level 0 are computed, not read
            shutil.rmtree(copy)
        else:
            with pytest.raises((VerificationError, TileError)) as caught:
                run(log, copy)
            assert not isinstance(caught.value, TileMissingError)
            assert not (copy / "checkpoint").exists()
        shutil.rmtree(copy.with_name("copy.mirror"), ignore_errors=True)
        file.write_bytes(data)
    run(log, copy)
    is_whole(copy, 700)


def test_an_unsigned_or_uncosigned_checkpoint_is_refused(log: Growing, copy: Path) -> None:
    log.add(*some(3))
    for note in (cosigned(log.leaves, 3), b"no note\n"):
        log.folder.publish(note, 3)
        with pytest.raises(VerificationError):
            run(log, copy)


def test_a_mirror_keeps_to_the_policy_of_its_first_run(log: Growing, copy: Path) -> None:
    log.add(*some(3))
    assert not run(log, copy, None).is_pinned
    assert run(log, copy, None).is_pinned
    other = Policy(POLICY.log, POLICY.witnesses[:5], 4).format()
    (log.root / "policy").write_text(other)
    with pytest.raises(VerificationError, match="policy"):
        run(log, copy, None)
    head = sign_checkpoint(Checkpoint(POLICY.origin, 3, POLICY.verify_log(cosigned(log.leaves))[1].root), LOG)
    lines = tuple(cosigner.cosign(head.text, MOMENT) for cosigner in COSIGNERS[:4])
    log.folder.publish(Note(head.text, head.signatures + lines).format(), 3)
    assert run(log, copy, other.encode()).is_pinned
    assert verify_folder(copy, policy=other.encode(), apply=cheap).size == 3


def test_what_is_no_mirror_is_left_alone(log: Growing, copy: Path) -> None:
    log.add(*some(3))
    copy.mkdir()
    (copy / "thesis.txt").write_text("mine")
    with pytest.raises(MirrorMissingError, match="no mirror"):
        run(log, copy)
    assert contents(copy) == {"thesis.txt": b"mine"}


def test_a_mirror_of_a_mirror(log: Growing, copy: Path, tmp_path: Path) -> None:
    log.add(*some(600))
    run(log, copy)
    run(FolderSource(copy), tmp_path / "second")
    assert contents(tmp_path / "second") == contents(copy)
    (copy / "tile/0/002.p/88").write_bytes(bytes(88 * 32))
    with pytest.raises(TileError, match="damaged"):
        run(log, copy)


def test_side_files_are_copied_when_they_are_there(
    log: Growing, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = sorted(bytes([number]) * 16 for number in range(3))
    name = f"trace/{trace_root(tags).hex()}"
    monkeypatch.setattr("ledger.audit.mirror.side_files", lambda leaves: [name])
    log.add(*some(3))
    assert run(log, copy).absent == (name,)
    assert run(log, copy).absent == (name,)
    (log.root / "trace").mkdir()
    (log.root / name).write_bytes(b"".join(tags))
    assert run(log, copy).absent == ()
    assert (copy / name).read_bytes() == b"".join(tags)
    assert not copy.with_name("copy.mirror").exists()


@pytest.mark.parametrize("size", [3, 256, 300])
def test_a_changed_byte_in_the_own_last_bundle_is_found(log: Growing, copy: Path, size: int) -> None:
    """Nothing new at the source: the run would end well, and the next one build on the damage."""
    log.add(*some(size))
    run(log, copy)
    index = (size - 1) // 256
    bundle = copy / Tile(-1, index, size - index * 256).path
    data = bytearray(bundle.read_bytes())
    data[-5] ^= 1
    bundle.write_bytes(data)
    with pytest.raises(TileError, match="is damaged: verify it, and mirror into a new folder"):
        run(log, copy)
    bundle.unlink()
    with pytest.raises(TileError, match="is damaged"):
        run(log, copy)
