"""The offline verifier: a good folder passes, and any one byte changed in any of its files fails."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from pathlib import Path

import pytest

from ledger.audit.source import FolderSource
from ledger.audit.verify import failure, trace_root, verify_folder
from ledger.entries.entry import draft, signed
from ledger.errors import QuorumError, TileError, VerificationError
from ledger.formats.note import Note, NoteSigner
from ledger.formats.policy import Policy
from ledger.formats.tiles import TILE_WIDTH, Tile, encode_bundle
from ledger.sequencer.public_folder import PublicFolder
from tests.ledger.contract.contract_cases import NETWORK, NOW, founded, ready, signer
from tests.ledger.sequencer.log_cases import LOG, POLICY, cheap, cosigned, leaf, real_leaves, tree_of

PINNED = POLICY.format().encode()


def write(root: Path, leaves: list[bytes], note: bytes | None = None) -> Path:
    """A public folder of these leaves, by the log's own writer."""
    tree = tree_of(leaves)

    def content(tile):
        begin = tile.index * TILE_WIDTH
        if tile.level < 0:
            return encode_bundle(leaves[begin : begin + tile.width])
        return b"".join(tree.hash(8 * tile.level, begin + place) for place in range(tile.width))

    folder = PublicFolder(root)
    folder.open(POLICY.format(), 0, content)
    folder.write(len(leaves), content)
    folder.publish(cosigned(leaves, 6) if note is None else note, len(leaves))
    folder.close()
    return root


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    leaves = [leaf() for _ in range(515)]
    leaves[7] = b"no entry"
    leaves[400] = leaf("refuse")
    return write(tmp_path_factory.mktemp("public") / "log", leaves), leaves


@pytest.fixture
def copy(good, tmp_path):
    return Path(shutil.copytree(good[0], tmp_path / "log"))


def check(path, **more):
    return verify_folder(path, apply=cheap, **more)


def fails(path, name, **more):
    with pytest.raises(VerificationError) as caught:
        check(path, **more)
    assert caught.value.check == name
    assert caught.value.place
    return caught.value


def files(root):
    return sorted(file for file in root.rglob("*") if file.is_file())


def test_a_good_folder_passes_and_names_its_void_entries(good):
    path, leaves = good
    seen = []
    digest = hashlib.sha256(leaves[0]).digest()
    found = check(
        path, progress=lambda done, size: seen.append((done, size)), policy=PINNED, genesis_digest=digest
    )
    assert (found.size, found.root) == (515, tree_of(leaves).root())
    assert found.voids == ((7, "entry"), (400, "bad_entry"))
    assert seen == [(256, 515), (512, 515), (515, 515)]
    assert len(found.checkpoint.cosigned) == 6
    assert found.policy == POLICY
    assert found.absent == ()
    assert {file.relative_to(path).as_posix() for file in files(path)} == {
        "policy",
        "checkpoint",
        *(f"tile/{level}/{name}" for level in ("0", "entries") for name in ("000", "001", "002.p/3")),
        "tile/1/000.p/2",
    }


def test_one_changed_byte_in_any_file_fails(copy):
    draw = random.Random(20261122)
    for file in files(copy):
        data = file.read_bytes()
        ends = {0, 1, len(data) - 1}
        for place in ends | {draw.randrange(len(data)) for _ in range(12 if len(data) > 2000 else 60)}:
            changed = bytearray(data)
            changed[place] ^= draw.randrange(1, 256)
            file.write_bytes(bytes(changed))
            with pytest.raises(VerificationError):
                check(copy)
        for other in (data[:-1], data + b"\n", b""):
            file.write_bytes(other)
            with pytest.raises(VerificationError):
                check(copy)
        file.write_bytes(data)
    check(copy)


@pytest.mark.parametrize(("name", "index"), [("000", 7), ("000", 255), ("001", 300), ("002.p/3", 513)])
def test_a_changed_entry_is_named_by_its_index(good, copy, name, index):
    """In a full bundle and in a partial one; two of them as one and one more."""
    bundle, begin = copy / "tile/entries" / name, index // TILE_WIDTH * TILE_WIDTH
    leaves = good[1][begin : begin + TILE_WIDTH]
    leaves[index - begin] = leaf("made up")
    bundle.write_bytes(encode_bundle(leaves))
    with pytest.raises(VerificationError) as caught:
        check(copy)
    assert (caught.value.check, caught.value.place) == ("tile", f"tile/0/{name}")
    assert caught.value.reason.startswith(f"entry {index} in tile/entries/{name} does not have the hash")
    assert "get the folder again" in caught.value.reason
    leaves[0] = leaf("made up")
    bundle.write_bytes(encode_bundle(leaves))
    with pytest.raises(VerificationError, match=f"entry {begin} and 1 more in"):
        check(copy)


def test_a_check_of_the_same_name_as_its_file_is_named_once(copy):
    (copy / "policy").write_text(PINNED.decode().replace("\n", "\n\n", 1))
    with pytest.raises(VerificationError) as caught:
        check(copy, policy=PINNED)
    assert str(caught.value).startswith("policy: differs from the pinned policy")


def test_a_missing_file_fails_and_is_named(copy):
    for file in files(copy):
        data = file.read_bytes()
        file.unlink()
        with pytest.raises(VerificationError) as caught:
            check(copy)
        assert caught.value.place == file.relative_to(copy).as_posix()
        file.write_bytes(data)


@pytest.mark.parametrize(
    "name", ["notes.txt", "tile/0/002.p/4", "tile/0/003", "tile/2/000.p/1", "tile/entries/002", "x/y"]
)
def test_an_extra_file_fails_and_is_named(copy, name):
    (copy / name).parent.mkdir(parents=True, exist_ok=True)
    (copy / name).write_bytes(b"")
    assert fails(copy, "files").place == name


SUPERSEDED = ["tile/0/000.p/9", "tile/0/002.p/2", "tile/1/000.p/1", "tile/entries/002.p/1"]


def superseded(root, leaves):
    """The partial tiles of smaller sizes that a log leaves for a while; returns their files."""
    tree = tree_of(leaves)
    for name in SUPERSEDED:
        tile = Tile.parse(name)
        begin = tile.index * TILE_WIDTH
        places = range(begin, begin + tile.width)
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(
            encode_bundle([leaves[place] for place in places])
            if tile.level < 0
            else b"".join(tree.hash(8 * tile.level, place) for place in places)
        )
    return [root / name for name in SUPERSEDED]


def test_superseded_partial_tiles_may_stay_and_are_checked(good, copy):
    left = superseded(copy, good[1])
    assert check(copy).size == 515
    draw = random.Random(20261123)
    for file in left:
        data = file.read_bytes()
        for place in {0, len(data) - 1, draw.randrange(len(data))}:
            changed = bytearray(data)
            changed[place] ^= draw.randrange(1, 256)
            file.write_bytes(bytes(changed))
            with pytest.raises(VerificationError) as caught:
                check(copy)
            assert caught.value.place == file.relative_to(copy).as_posix()
        for other in (data[:-1], data + b"\n", b""):
            file.write_bytes(other)
            with pytest.raises(VerificationError):
                check(copy)
        file.write_bytes(data)
    check(copy)


@pytest.mark.parametrize("name", ["checkpoint", "tile/0/000"])
def test_a_pipe_is_not_waited_for(copy, name):
    (copy / name).unlink()
    os.mkfifo(copy / name)
    with pytest.raises(VerificationError, match="regular file"):
        check(copy)


def test_a_link_is_followed_by_no_reader(copy):
    moved = copy.parent / "elsewhere"
    (copy / "policy").rename(moved)
    (copy / "policy").symlink_to(moved)
    with pytest.raises(TileError):
        FolderSource(copy).fetch("policy", 10_000)


def test_folders_nested_without_end_fail(copy):
    (copy / "tile" / "/".join("x" * 300)).mkdir(parents=True)
    fails(copy, "files")


def test_a_symbolic_link_fails(copy):
    (copy / "checkpoint").rename(copy.parent / "elsewhere")
    (copy / "checkpoint").symlink_to(copy.parent / "elsewhere")
    fails(copy, "files")


def test_another_policy_fails(copy):
    fails(copy, "policy", policy=PINNED + b"\n")
    weak = Policy(POLICY.log, POLICY.witnesses, 3)
    (copy / "policy").write_text(weak.format())
    fails(copy, "policy")
    fails(copy, "policy", policy=PINNED)
    (copy / "policy").write_text("# comment\n" + POLICY.format())
    fails(copy, "policy")
    check(copy, policy=b"# comment\n" + PINNED)


def test_signatures_must_be_the_policys(good, copy):
    note = Note.parse((copy / "checkpoint").read_bytes())
    log, witnesses = note.signatures[:1], note.signatures[1:]
    stranger = NoteSigner("stranger", signer("stranger")).sign(note.text).signatures

    def put(*lines):
        (copy / "checkpoint").write_bytes(Note(note.text, lines).format())

    put(*log, *witnesses, *stranger)
    fails(copy, "checkpoint")
    put(*log, *witnesses, witnesses[0])
    fails(copy, "checkpoint")
    put(*log, *witnesses[:3])
    fails(copy, "quorum")
    put(*witnesses)
    fails(copy, "signature")
    forged = NoteSigner(LOG.verifier.name, signer("forger")).sign(note.text).signatures
    put(*forged, *witnesses)
    fails(copy, "checkpoint")
    put(*log, *witnesses[:4])
    check(copy)


def test_a_rewritten_entry_with_rewritten_tiles_fails_at_the_root(good, tmp_path):
    leaves = good[1]
    other = [*leaves[:100], leaf(), *leaves[101:]]
    assert fails(write(tmp_path / "log", other, cosigned(leaves)), "root").place == "checkpoint"


def test_another_genesis_fails(good):
    fails(good[0], "genesis", genesis_digest=bytes(32))


def test_a_void_genesis_fails(tmp_path):
    fails(write(tmp_path / "log", [leaf("refuse"), leaf()]), "genesis")


def test_the_empty_log_passes(tmp_path):
    assert check(write(tmp_path / "log", [])).size == 0


def test_the_real_contract(tmp_path):
    net = ready()
    net.apply(net.intent())
    leaves = real_leaves(net)
    found = verify_folder(write(tmp_path / "log", leaves), policy=PINNED)
    assert (found.size, found.voids, found.time) == (len(leaves), (), net.now)
    assert found.state.values == net.state.values


def test_side_files_are_named_by_intents_and_have_their_root(tmp_path):
    tags = sorted(hashlib.sha256(b"%d" % number).digest()[:16] for number in range(2048))
    assert trace_root(tags) == tree_of(tags).root()
    path = write(tmp_path / "log", real_leaves(founded()))
    (path / "trace").mkdir()
    side = path / "trace" / trace_root(tags).hex()
    side.write_bytes(b"".join(tags))
    with pytest.raises(VerificationError, match="named by no intent"):
        verify_folder(path)

    named_path = write(tmp_path / "named", [leaf(), large_intent(trace_root(tags).hex())])
    assert check(named_path).absent == (f"trace/{side.name}",)
    shutil.copytree(path / "trace", named_path / "trace")
    assert check(named_path).absent == ()
    copied = named_path / "trace" / side.name
    for place in (0, 100, 2048 * 16 - 1):
        data = bytearray(b"".join(tags))
        data[place] ^= 1
        copied.write_bytes(bytes(data))
        fails(named_path, "trace")


def large_intent(root: str) -> bytes:
    """A leaf that the cheap contract takes and that looks like an intent with a side file."""
    body = {"certificate": {"trace": [root]}}
    return signed(draft(NETWORK, "query.intent", "ab" * 16, NOW, body), signer("office")).leaf()


def test_a_folder_that_is_not_there_fails(tmp_path):
    assert fails(tmp_path / "nothing", "policy").place == "policy"


def test_failures_have_one_form():
    assert failure(VerificationError("tile", "tile/0/000", "differs")) == ("tile", "tile/0/000", "differs")
    assert failure(QuorumError("short")) == ("quorum", "", "short")
