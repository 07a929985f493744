"""Publishing: killed at every chunk it resumes to the same root; nothing half-made gets onto the ledger."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from adapters.identifiers import canonical_bytes
from ledger.errors import EntryRefusedError
from node.department import publish as publishing
from node.department.declaration import DatasetDeclaration
from node.department.own_publications import open_secret, published_sets
from node.department.publish import PublishedDataset, Publisher
from node.errors import RefusalError, ServiceUnavailableError
from node.membership.sum_key import paillier_key
from node.store import tables
from node.store.setfiles import PublishedSet, write_set
from protocols.errors import PublicationError
from protocols.psi.publication import SetVerifier, published_leaves
from protocols.psi.tags import tag_rows
from protocols.psi.voprf import public_key
from tests.node.network_in_memory import EPOCH, SOURCES, Network, shared, stranger

LABEL = f"{EPOCH}.1"
PEOPLE = [stranger(number) for number in range(400, 405)]
MEMBERS = "id\n" + "\n".join(PEOPLE) + "\n"
AMOUNTS = "id,fen\n" + "\n".join(f"{who},{at * 100 - 150}" for at, who in enumerate(PEOPLE)) + "\n"


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    monkeypatch.setattr(publishing, "CHUNK", 2)
    found = shared()
    yield found
    found.wire.down.clear()
    found.wire.taps.clear()


def dataset(net: Network, text: str) -> DatasetDeclaration:
    """A dataset that nobody has published yet."""
    return net.declaration(f"police.d{secrets.token_hex(6)}", text)


def run(net: Network, declared: DatasetDeclaration, kill_at: int | None = None) -> PublishedDataset:
    """Publish, or be killed when a number of rows is done."""

    def progress(done: int, total: int) -> None:
        assert done <= total == len(PEOPLE)
        if done == kill_at:
            raise Killed

    return Publisher(net.services["police"]).publish(declared, net.sources("police"), EPOCH, progress)


def check_whole(net: Network, declared: DatasetDeclaration, text: str, label: str = LABEL) -> None:
    """The set on disk, on the ledger, and made again from the secret in the vault are one."""
    services = net.services["police"]
    secret = open_secret(services, declared.id, label)
    names = [canonical_bytes(line.split(",")[0]) for line in text.split()[1:]]
    amounts = [int(line.split(",")[1]) for line in text.split()[1:]] if declared.kind == "amount" else None
    key = None if amounts is None else paillier_key(services.view)

    def cipher(name: bytes, fen: int, purpose: bytes) -> bytes:
        return b"" if key is None else key.to_bytes(key.encrypt_row(secret.seed, name, fen, purpose))

    tags = tag_rows(secret.key, declared.id, label, names)
    rows = sorted(
        (tag, cipher(name, fen, b"row"))
        for tag, name, fen in zip(tags, names, amounts or [0] * len(names), strict=True)
    )
    fill: Callable[[int], bytes] = lambda tag: cipher(tag.to_bytes(8, "big"), 0, b"dummy")  # noqa: E731
    leaves = list(published_leaves(secret.seed, rows, len(rows), fill if key is not None else None))
    held = PublishedSet(services.publication_folder(declared.id, label))
    assert [held.leaf(index) for index in range(held.facts.count)] == leaves
    held.close()
    services.ledger.sync()
    recorded = services.view.publication(declared.id, label)
    assert recorded is not None
    assert (recorded.root, recorded.count) == (held.facts.root, len(leaves))
    assert recorded.key == public_key(secret.key).hex()
    verifier = SetVerifier(
        recorded.count,
        bytes.fromhex(recorded.root),
        ciphertext_bytes=len(leaves[0]) - 8,
        check_ciphertexts=None if key is None else lambda _: None,
    )
    verifier.feed(leaves)
    verifier.finish()


@pytest.mark.parametrize("text", [MEMBERS, AMOUNTS], ids=["member", "amount"])
@pytest.mark.parametrize("chunks", [(), (2,), (4,), (5,), (2, 4, 5)], ids=str)
def test_killed_at_a_chunk_it_resumes_to_the_same_root(
    net: Network, text: str, chunks: tuple[int, ...]
) -> None:
    declared = dataset(net, text)
    drawn = []
    for at in chunks:
        with pytest.raises(Killed):
            run(net, declared, at)
        drawn.append(open_secret(net.services["police"], declared.id, LABEL))
        assert net.services["police"].view.publication(declared.id, LABEL) is None
    result = run(net, declared)
    drawn.append(open_secret(net.services["police"], declared.id, LABEL))
    assert len(set(drawn)) == 1, "the key was drawn once"
    assert (result.publication, result.quality.persons) == (LABEL, 5)
    check_whole(net, declared, text)
    folder = net.services["police"].publication_folder(declared.id, LABEL)
    left = {path.name for path in folder.iterdir()}
    assert left == {"tags.bin", "ciphertexts.bin", "tree.bin", "set.json"}, "no identifier stays behind"


def test_killed_when_the_set_is_written(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = dataset(net, MEMBERS)
    with monkeypatch.context() as patch:

        def killed(*arguments: Any) -> Any:
            write_set(*arguments)
            raise Killed

        patch.setattr(publishing, "write_set", killed)
        with pytest.raises(Killed):
            run(net, declared)
    first = open_secret(net.services["police"], declared.id, LABEL)
    run(net, declared)
    assert open_secret(net.services["police"], declared.id, LABEL) == first
    check_whole(net, declared, MEMBERS)


def test_a_changed_snapshot_starts_again(net: Network) -> None:
    declared = dataset(net, MEMBERS)
    with pytest.raises(Killed):
        run(net, declared, 4)
    first = open_secret(net.services["police"], declared.id, LABEL)
    other = MEMBERS.replace(PEOPLE[0], stranger(409))
    net.declaration(declared.id, other)
    run(net, declared)
    assert open_secret(net.services["police"], declared.id, LABEL) != first, "never two sets under one key"
    check_whole(net, declared, other)


def test_a_collision_draws_a_new_key(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def colliding(key: int, name: str, label: str, names: list[bytes]) -> list[int]:
        if key not in drawn:
            drawn.append(key)
        found = tag_rows(key, name, label, names)
        return [5] * len(names) if len(drawn) == 1 else found

    monkeypatch.setattr(publishing, "tag_rows", colliding)
    declared = dataset(net, MEMBERS)
    run(net, declared)
    assert len(drawn) == 2
    monkeypatch.undo()
    check_whole(net, declared, MEMBERS)


def test_a_collision_with_a_dummy_draws_a_new_key_too(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def colliding(*arguments: Any) -> Iterator[bytes]:
        tries.append(1)
        if len(tries) == 1:
            raise PublicationError("two tags of this publication are equal")
        return published_leaves(*arguments)

    monkeypatch.setattr(publishing, "published_leaves", colliding)
    declared = dataset(net, MEMBERS)
    run(net, declared)
    check_whole(net, declared, MEMBERS)


def test_tags_that_stay_equal_are_given_up(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "tag_rows", lambda *arguments: [7] * len(arguments[3]))
    declared = dataset(net, MEMBERS)
    with pytest.raises(PublicationError):
        run(net, declared)
    assert net.services["police"].view.labels(declared.id) == ()


def test_revisions_follow_each_other_under_fresh_keys(net: Network) -> None:
    declared = dataset(net, MEMBERS)
    for revision in (1, 2):
        assert run(net, declared).publication == f"{EPOCH}.{revision}"
    first, second = (open_secret(net.services["police"], declared.id, f"{EPOCH}.{n}") for n in (1, 2))
    assert first.key != second.key
    check_whole(net, declared, MEMBERS, f"{EPOCH}.1")
    check_whole(net, declared, MEMBERS, f"{EPOCH}.2")


def test_a_set_that_waits_for_the_ledger_is_not_built_over(
    net: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its root and key are signed already: another set under the label would never verify."""
    services = net.services["police"]
    declared = dataset(net, MEMBERS)
    with monkeypatch.context() as patch:
        patch.setattr(services.outbox, "wake", lambda: None)
        patch.setattr(
            services.ledger, "append", lambda leaf: (_ for _ in ()).throw(ServiceUnavailableError("down"))
        )
        patch.setattr(services.ledger, "wait_for", lambda ready, seconds: False)
        with pytest.raises(ServiceUnavailableError, match="waits for the ledger"):
            run(net, declared)
        net.declaration(declared.id, MEMBERS.replace(PEOPLE[0], stranger(409)))
        with pytest.raises(ServiceUnavailableError, match="waits for the ledger"):
            run(net, declared)
    net.declaration(declared.id, MEMBERS)
    services.outbox.wake()
    assert services.ledger.wait_for(lambda view: view.publication(declared.id, LABEL) is not None, 10)
    check_whole(net, declared, MEMBERS)


def test_a_refused_publication_can_be_made_again(net: Network) -> None:
    """What the contract refused does not stand in the way of what it accepts."""
    declared = dataset(net, MEMBERS)
    run(net, declared)
    with pytest.raises(RefusalError, match=rf"kind_changed: the ledger refused {declared.id}/{EPOCH}\.2"):
        run(net, net.declaration(declared.id, AMOUNTS))
    sets = published_sets(net.services["police"])
    assert sets.get(f"{declared.id}/{LABEL}") is True
    assert f"{declared.id}/{EPOCH}.2" not in sets, "what the ledger refused is not published"
    right = net.declaration(declared.id, MEMBERS)
    assert run(net, right).publication == f"{EPOCH}.2"
    check_whole(net, right, MEMBERS, f"{EPOCH}.2")
    name = f"publish/{declared.id}/{EPOCH}.2"
    row = net.services["police"].store.one(tables.outbox, id=name)
    assert row is not None
    assert row["state"] in ("final", "waiting")


@pytest.mark.parametrize(
    ("member", "dataset", "epoch", "code"),
    [
        ("tax", "tax.income", "nov 2026", "bad_field"),
        ("tax", "tax.income", "2026.11", "bad_field"),
        ("office", "office.income", EPOCH, "role"),
        ("tax", "hib.selfpaid", EPOCH, "not_owner"),
    ],
)
def test_what_surely_is_refused_is_so_before_the_source_is_read(
    net: Network, member: str, dataset: str, epoch: str, code: str
) -> None:
    services = net.services[member]
    declared = net.declaration(dataset, "no such column at all\n")
    with pytest.raises((RefusalError, EntryRefusedError)) as refused:
        Publisher(services).publish(declared, net.sources(member), epoch, lambda *_: None)
    assert refused.value.code == code
    home = services.configuration.home.root
    assert list(home.rglob("work")) == []


def test_of_a_refused_publication_no_row_stays(net: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    services = net.services["tax"]

    def refuse(self: Publisher, dataset: str, publication: str, body: dict[str, Any]) -> None:
        raise RefusalError("rows_not_padded", "no")

    monkeypatch.setattr(Publisher, "_record", refuse)
    with pytest.raises(RefusalError, match="no"):
        net.publish("tax.refused", SOURCES["tax.income"])
    assert not (services.publication_folder("tax.refused", f"{EPOCH}.1") / "work").exists()
