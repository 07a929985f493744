"""Strangers' checkers accept the public log and its receipts, and reject every way of cheating with them."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger.audit.verify import verify_folder
from ledger.formats.checkpoint import Checkpoint, Cosigner, sign_checkpoint
from ledger.formats.note import Note, NoteSignature, NoteSigner
from ledger.formats.receipt import Receipt
from ledger.formats.tiles import Tile, tiles_of
from ledger.sequencer.ordering import Candidate
from tests.foreign.foreign_checkers import CHECKERS, Checker, RejectedError, Seen, Trust
from tests.ledger.audit.test_verify import write
from tests.ledger.contract.contract_cases import signer
from tests.ledger.sequencer.log_cases import COSIGNERS, LOG, MOMENT, POLICY, World, cosigned, leaf, tree_of

pytestmark = pytest.mark.foreign

EARLIER, LATER = 301, 520
"""Sizes of the two published states: the first tile is full in both, one is partial in each."""


@dataclass(frozen=True)
class Published:
    """Two states of one public folder, and what submitters got.

    Attributes:
        earlier, later: copies of the folder. leaves: all entries. receipts: of some of them, by index.
    """

    earlier: Path
    later: Path
    leaves: list[bytes]
    receipts: dict[int, Receipt]
    trust: Trust


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """A real sequencer with six real witnesses, stopped at two sizes."""
    folder = tmp_path_factory.mktemp("foreign")
    world = World(folder)
    try:
        log = world.started()
        leaves: list[bytes] = []
        copies: dict[int, Path] = {}
        for size in (EARLIER, LATER):
            new = [leaf() for _ in range(size - len(leaves))]
            futures = [log._submissions.add(Candidate.parse(one)) for one in new]
            for future in futures:
                future.result(60)
            leaves = log.read(0, size)
            copies[size] = Path(shutil.copytree(world.public, folder / f"copy-{size}"))
        receipts = {index: log.receipt(index) for index in (0, 1, 255, 256, 511, 512, 519)}
    finally:
        world.close()
    verify_folder(copies[LATER], apply=world.admit)
    trust = Trust.read((copies[LATER] / "policy").read_text())
    return Published(copies[EARLIER], copies[LATER], leaves, receipts, trust)


@pytest.fixture(params=CHECKERS)
def checker(request: pytest.FixtureRequest) -> Iterator[Checker]:
    logging.getLogger("tlog_scales").setLevel(logging.CRITICAL)
    yield CHECKERS[request.param]()
    logging.getLogger("tlog_scales").setLevel(logging.NOTSET)


@pytest.fixture
def copy(published: Published, tmp_path: Path) -> Path:
    return Path(shutil.copytree(published.later, tmp_path / "log"))


def test_the_log_is_accepted_and_so_is_its_growth(checker: Checker, published: Published) -> None:
    earlier = checker.check(published.earlier, published.trust)
    assert earlier == Seen(EARLIER, tree_of(published.leaves[:EARLIER]).root())
    later = checker.check(published.later, published.trust, earlier)
    assert later == Seen(LATER, tree_of(published.leaves).root())
    assert checker.check(published.later, published.trust, later) == later


def test_receipts_are_accepted(checker: Checker, published: Published) -> None:
    for index, receipt in published.receipts.items():
        checker.receipt(receipt.format().decode(), published.leaves[index], published.trust)


def note(folder: Path) -> Note:
    return Note.parse((folder / "checkpoint").read_bytes())


def put(folder: Path, made: Note) -> None:
    (folder / "checkpoint").write_bytes(made.format())


def flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(bytes(data))


def changed_size(folder: Path) -> None:
    """The same signatures over another size."""
    old = note(folder)
    put(folder, Note(old.text.replace(f"\n{LATER}\n", f"\n{LATER - 1}\n"), old.signatures))


def changed_size_signed(folder: Path) -> None:
    """A smaller size under the same root, signed and cosigned by all members."""
    head = Checkpoint.parse(note(folder).text)
    signed = sign_checkpoint(Checkpoint(head.origin, head.size - 1, head.root), LOG)
    lines = tuple(cosigner.cosign(signed.text, MOMENT) for cosigner in COSIGNERS)
    put(folder, Note(signed.text, signed.signatures + lines))
    for tile in tiles_of(LATER):
        if tile.width == LATER % 256 and tile.level <= 0:
            rename(folder, tile, Tile(tile.level, tile.index, tile.width - 1))


def rename(folder: Path, old: Tile, new: Tile) -> None:
    (folder / new.path).write_bytes((folder / old.path).read_bytes())


def changed_root(folder: Path) -> None:
    head, old = Checkpoint.parse(note(folder).text), note(folder)
    put(folder, Note(Checkpoint(head.origin, head.size, bytes(32)).text(), old.signatures))


def changed_entry(folder: Path) -> None:
    flip(folder / "tile/entries/000", 40)


def changed_last_entry(folder: Path) -> None:
    flip(folder / f"tile/entries/002.p/{LATER % 256}", -3)


def changed_hash(folder: Path) -> None:
    flip(folder / "tile/0/001", 32 * 77)


def changed_upper_hash(folder: Path) -> None:
    flip(folder / "tile/1/000.p/2", 5)


def missing_cosignature(folder: Path) -> None:
    """One fewer than the quorum."""
    old = note(folder)
    by = {line.name: line for line in old.signatures}
    names = [LOG.verifier.name, *(c.verifier.name for c in COSIGNERS if c.verifier.name in by)]
    put(folder, Note(old.text, tuple(by[name] for name in names[: POLICY.quorum])))


def repeated_cosignature(folder: Path) -> None:
    """One fewer than the quorum, and one of them as often as is needed."""
    missing_cosignature(folder)
    old = note(folder)
    put(folder, Note(old.text, (*old.signatures, old.signatures[-1], old.signatures[-1])))


def repeated_at_other_times(folder: Path) -> None:
    """One fewer than the quorum, and one witness with a second and a third line of its own."""
    missing_cosignature(folder)
    old = note(folder)
    cosigner = next(c for c in COSIGNERS if c.verifier.name == old.signatures[-1].name)
    more = tuple(cosigner.cosign(old.text, MOMENT + step) for step in (1, 2))
    put(folder, Note(old.text, old.signatures + more))


def renamed_cosignature(folder: Path) -> None:
    """One fewer than the quorum, and one of them again under another witness's name and key id."""
    missing_cosignature(folder)
    old = note(folder)
    other = next(c for c in COSIGNERS if c.verifier.name not in {line.name for line in old.signatures})
    copied = NoteSignature(other.verifier.name, other.verifier.id, old.signatures[-1].blob)
    put(folder, Note(old.text, (*old.signatures, copied)))


def strangers_cosignatures(folder: Path) -> None:
    missing_cosignature(folder)
    old = note(folder)
    stranger = Cosigner("stranger", signer("stranger", "witness"))
    put(folder, Note(old.text, (*old.signatures, stranger.cosign(old.text, MOMENT))))


def no_log_signature(folder: Path) -> None:
    old = note(folder)
    put(folder, Note(old.text, tuple(line for line in old.signatures if line.name != LOG.verifier.name)))


def another_logs_key(folder: Path) -> None:
    old = note(folder)
    forged = NoteSigner(LOG.verifier.name, signer("stranger", "log")).sign(old.text).signatures
    rest = tuple(line for line in old.signatures if line.name != LOG.verifier.name)
    put(folder, Note(old.text, forged + rest))


def missing_tile(folder: Path) -> None:
    (folder / "tile/0/000").unlink()
    (folder / "tile/entries/000").unlink()


CHEATS: list[Callable[[Path], None]] = [
    changed_size,
    changed_size_signed,
    changed_root,
    changed_entry,
    changed_last_entry,
    changed_hash,
    changed_upper_hash,
    missing_cosignature,
    repeated_cosignature,
    repeated_at_other_times,
    renamed_cosignature,
    strangers_cosignatures,
    no_log_signature,
    another_logs_key,
    missing_tile,
]


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda cheat: str(cheat.__name__))
def test_a_cheat_is_rejected(
    checker: Checker, published: Published, copy: Path, cheat: Callable[[Path], None]
) -> None:
    cheat(copy)
    with pytest.raises(RejectedError):
        checker.check(copy, published.trust)


def test_a_rollback_is_rejected(checker: Checker, published: Published) -> None:
    later = checker.check(published.later, published.trust)
    with pytest.raises(RejectedError):
        checker.check(published.earlier, published.trust, later)


def test_a_fork_is_rejected_though_everybody_has_signed_it(
    checker: Checker, published: Published, tmp_path: Path
) -> None:
    """A second history under all the network's keys: each is consistent in itself, not with the other."""
    forked = [leaf(), *published.leaves[1:]]
    earlier = checker.check(published.earlier, published.trust)
    for size in (EARLIER, LATER):
        other = write(tmp_path / str(size), forked[:size], cosigned(forked[:size], 6))
        checker.check(other, published.trust)
        with pytest.raises(RejectedError):
            checker.check(other, published.trust, earlier)


def test_receipts_of_other_entries_places_or_heads_are_rejected(
    checker: Checker, published: Published
) -> None:
    receipt = published.receipts[511]
    text = receipt.format().decode()
    with pytest.raises(RejectedError):
        checker.receipt(text, published.leaves[510], published.trust)
    moved = Receipt(510, receipt.path, receipt.checkpoint_note)
    cut = Receipt(511, receipt.path[:-1], receipt.checkpoint_note)
    swapped = Receipt(511, receipt.path[::-1], receipt.checkpoint_note)
    short = Receipt(511, receipt.path, cosigned(published.leaves, POLICY.quorum - 1))
    earlier = Receipt(511, receipt.path, cosigned(published.leaves[:515], 6))
    for bad in (moved, cut, swapped, short, earlier):
        with pytest.raises(RejectedError):
            checker.receipt(bad.format().decode(), published.leaves[511], published.trust)
