"""Taking over a publication: any difference from the ledger is refused, kept nowhere and recorded nowhere."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from node.audit.publications import _examine_own, verify_publications
from node.department.own_publications import published_sets
from node.errors import NodeError, RefusalError, ServiceUnavailableError
from node.rpc.status import raise_from_wire
from node.store import tables
from node.store.setfiles import PublishedSet
from protocols.errors import ProtocolError
from protocols.psi import golomb
from protocols.wire import check_pb2, check_pb2_grpc
from protocols.wire.check_pb2 import DownloadResponse
from tests.node.network_in_memory import EPOCH, Network, shared, stranger

LABEL = f"{EPOCH}.1"
PEOPLE = [stranger(number) for number in range(500, 505)]
AMOUNTS = "id,fen\n" + "\n".join(f"{who},{at}" for at, who in enumerate(PEOPLE)) + "\n"
MEMBERS = "id\n" + "\n".join(PEOPLE) + "\n"
Parts = list[Any]


@pytest.fixture
def net() -> Iterator[Network]:
    found = shared()
    verify_publications(found.services["office"], lambda *_: None)
    yield found
    found.wire.rewrites.clear()
    found.wire.down.clear()
    verify_publications(found.services["office"], lambda *_: None)


def take_over(net: Network) -> list[str]:
    return verify_publications(net.services["office"], lambda *_: None)


def published(net: Network, text: str) -> str:
    name = f"police.s{secrets.token_hex(6)}"
    net.publish(name, text)
    return name


def tags_of(parts: Parts) -> list[int]:
    """The tags of a download."""
    decoder = golomb.Decoder(20)
    found: list[int] = []
    for part in parts:
        if part.WhichOneof("part") == "tags":
            found += decoder.feed(part.tags)
    return found


def retagged(change: Callable[[list[int]], list[int]]) -> Callable[[Parts], Parts]:
    """A download with other tags, coded as it should be."""

    def rewrite(parts: Parts) -> Parts:
        tags = change(tags_of(parts))
        rest = [part for part in parts if part.WhichOneof("part") == "ciphertexts"]
        return [DownloadResponse(tags=golomb.encode(tags, 20)), *rest]

    return rewrite


def recoded(change: Callable[[bytes], bytes], kind: str = "tags") -> Callable[[Parts], Parts]:
    """A download with other bytes of one kind."""

    def rewrite(parts: Parts) -> Parts:
        data = change(b"".join(getattr(part, kind) for part in parts))
        others = [part for part in parts if part.WhichOneof("part") != kind]
        made = [DownloadResponse(**{kind: data})]
        return made + others if kind == "tags" else others + made

    return rewrite


def flipped(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


TAGS: dict[str, Callable[[Parts], Parts]] = {
    "a changed tag": retagged(lambda tags: [*tags[:5], tags[5] + 1, *tags[6:]]),
    "another first sentinel": retagged(lambda tags: [1, *tags[1:]]),
    "another last sentinel": retagged(lambda tags: [*tags[:-1], tags[-1] - 1]),
    "a row twice": retagged(lambda tags: [*tags[:6], tags[5], *tags[7:]]),
    "a row hidden": recoded(lambda data: data[: len(data) // 2]),
    "a changed byte in the middle": recoded(flipped(40)),
    "a changed byte at the end": recoded(lambda data: data[:-1] + bytes([data[-1] ^ 1])),
    "a byte too many": recoded(lambda data: data + b"\0"),
    "a byte too few": recoded(lambda data: data[:-1]),
    "nothing": lambda parts: [],
    "an empty part": lambda parts: [DownloadResponse()],
}
CIPHERTEXTS: dict[str, Callable[[Parts], Parts]] = {
    "a changed byte": recoded(flipped(700), "ciphertexts"),
    "two swapped": recoded(lambda d: d[512:1024] + d[:512] + d[1024:], "ciphertexts"),
    "zero": recoded(lambda d: bytes(512) + d[512:], "ciphertexts"),
    "out of range": recoded(lambda d: b"\xff" * 512 + d[512:], "ciphertexts"),
    "the last missing": recoded(lambda d: d[:-512], "ciphertexts"),
    "a byte missing": recoded(lambda d: d[:-1], "ciphertexts"),
    "one too many": recoded(lambda d: d + d[:512], "ciphertexts"),
    "none": lambda parts: [part for part in parts if part.WhichOneof("part") == "tags"],
    "sent before the tags": lambda parts: parts[::-1],
}


def require_untaken(net: Network, name: str) -> None:
    """Nothing of the set is kept or recorded."""
    office = net.services["office"]
    office.ledger.sync()
    assert not office.view.verified(name, LABEL, "office")
    assert office.store.one(tables.verified_publication, dataset=name, publication=LABEL) is None
    assert not office.publication_folder(name, LABEL).exists()


@pytest.mark.parametrize("cheat", TAGS)
def test_another_set_than_on_the_ledger(net: Network, cheat: str) -> None:
    name = published(net, MEMBERS)
    net.wire.rewrites["police", "Download"] = TAGS[cheat]
    with pytest.raises((ProtocolError, NodeError)):
        take_over(net)
    require_untaken(net, name)
    net.wire.rewrites.clear()
    assert take_over(net) == [f"{name}/{LABEL}"]


@pytest.mark.parametrize("cheat", CIPHERTEXTS)
def test_other_ciphertexts_than_on_the_ledger(net: Network, cheat: str) -> None:
    name = published(net, AMOUNTS)
    net.wire.rewrites["police", "Download"] = CIPHERTEXTS[cheat]
    with pytest.raises((ProtocolError, NodeError)):
        take_over(net)
    require_untaken(net, name)


def test_a_whole_set_is_kept_as_it_was_published(net: Network) -> None:
    name = published(net, AMOUNTS)
    told: list[tuple[str, int, int]] = []
    recorded = verify_publications(net.services["office"], lambda *done: told.append(done))
    assert recorded == [f"{name}/{LABEL}"]
    assert told == [(name, 20, 20)]
    assert take_over(net) == []
    own, taken = (
        PublishedSet(net.services[member].publication_folder(name, LABEL)) for member in ("police", "office")
    )
    assert own.facts == taken.facts
    assert [own.leaf(at) for at in range(20)] == [taken.leaf(at) for at in range(20)]
    own.close()
    taken.close()


def test_a_department_out_of_reach(net: Network) -> None:
    name = published(net, MEMBERS)
    net.wire.down.add("police")
    with pytest.raises(ServiceUnavailableError, match="police"):
        take_over(net)
    require_untaken(net, name)


def test_only_offices_and_auditors_download(net: Network) -> None:
    for caller, name, code in (
        ("tax", "police.custody", "not_an_office"),
        ("desk", "police.custody", "not_an_office"),
        ("trust", "police.custody", "not_an_office"),
        ("office", "police.unknown", "unknown_publication"),
        ("office", "../tax", "unknown_publication"),
    ):
        stub = check_pb2_grpc.DepartmentStub(net.services[caller].channels.to("police"))
        request = check_pb2.DownloadRequest(dataset=name, publication=LABEL)
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.Download(request, timeout=5))
        with pytest.raises(RefusalError, match=code):
            raise_from_wire(caught.value, "police")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_department_is_refused_and_keeps_its_own_sets(net: Network) -> None:
    name = published(net, MEMBERS)
    services = net.services["police"]
    folder = services.publication_folder(name, LABEL)
    before = files(folder)
    with pytest.raises(RefusalError) as refused:
        verify_publications(services, lambda *_: None)
    assert refused.value.code == "role"
    assert files(folder) == before
    assert published_sets(services)[f"{name}/{LABEL}"]
    kept = folder.rename(folder.with_name("kept"))
    assert not published_sets(services)[f"{name}/{LABEL}"]
    kept.rename(folder)


@pytest.mark.parametrize("text", [MEMBERS, AMOUNTS], ids=["members", "amounts"])
def test_a_member_that_is_both_verifies_its_own_sets_where_they_lie(net: Network, text: str) -> None:
    """Its own folder is the only place where the set is: nothing is downloaded into it."""
    name = published(net, text)
    services = net.services["police"]
    folder = services.publication_folder(name, LABEL)
    before = files(folder)
    publication = services.view.publication(name, LABEL)
    assert publication is not None
    told: list[tuple[int, int]] = []
    _examine_own(services, publication, lambda *done: told.append(done))
    assert files(folder) == before
    assert told[-1] == (publication.count, publication.count)
    tags = bytearray(before["tags.bin"])
    tags[8 * (publication.count // 2)] ^= 1
    (folder / "tags.bin").write_bytes(tags)
    with pytest.raises(ProtocolError):
        _examine_own(services, publication, lambda *_: None)
    (folder / "tags.bin").write_bytes(before["tags.bin"])
