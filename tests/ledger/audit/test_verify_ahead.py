"""Examination ahead changes nothing: the same voids, state and time as the contract entry by entry."""

from __future__ import annotations

import random
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from ledger import contract
from ledger.audit import verify
from ledger.audit.verify import checked_bundles, verify_folder
from ledger.contract.replay import Replay, apply_proven_for
from ledger.contract.signature_check import check_leaves, is_proven, keys_of, node_message_in
from ledger.contract.state import MemoryState
from ledger.entries.entry import node_message, parse, reread
from ledger.errors import EntryError, TileError
from ledger.merkle import leaf_hash
from node.workers import worker_pool
from tests.ledger.audit.test_verify import write
from tests.ledger.contract.contract_cases import founded, ready
from tests.ledger.contract.random_logs import MixedLog

STEPS = st.lists(st.tuples(st.integers(0, 15), st.integers(0, 40)), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(2) as pool:
        yield pool


def one_by_one(leaves):
    """(voids, state, time) of the contract, entry by entry."""
    state, voids = MemoryState(), []
    replay = Replay(state, contract.apply)
    for index, leaf in enumerate(leaves):
        code = replay.step(leaf).void
        if code is not None:
            voids.append((index, code))
    return voids, state.values, replay.time


def ahead(leaves, width, workers):
    """The same with bundles of ``width`` leaves examined ahead; and how many leaves were proven."""
    state, voids, proven = MemoryState(), [], 0
    replay = Replay(state, contract.apply, apply_proven=apply_proven_for(contract.apply))
    bundles = (leaves[begin : begin + width] for begin in range(0, len(leaves), width))
    index = 0
    for bundle, found in checked_bundles(bundles, lambda: keys_of(state), workers):
        assert found.hashes == b"".join(map(leaf_hash, bundle))
        proven += sum(found.proven)
        for leaf, is_known in zip(bundle, found.proven, strict=True):
            code = (replay.step_proven(leaf) if is_known else replay.step(leaf)).void
            if code is not None:
                voids.append((index, code))
            index += 1
    return (voids, state.values, replay.time), proven


def mixed(steps):
    log = MixedLog()
    for kind, number in steps:
        log.step(kind, number)
    return log.leaves


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, width=st.integers(1, 9))
def test_the_result_is_that_of_the_contract_entry_by_entry(threads, steps, width):
    leaves = mixed(steps)
    expected = one_by_one(leaves)
    assert ahead(leaves, width, None)[0] == expected
    assert ahead(leaves, width, threads)[0] == expected


def test_every_kind_of_step_does_what_its_name_says():
    """The random logs are worth something: every way of being void is met, and most is proven."""
    draw = random.Random(20261122)
    leaves = mixed([(draw.randrange(16), draw.randrange(40)) for _ in range(400)])
    expected = one_by_one(leaves)
    codes = {code for _, code in expected[0]}
    assert codes >= {
        "entry",
        "bad_signature",
        "unknown_field",
        "id_used",
        "unknown_signer",
        "certificate_signature",
        "certificate_digest",
        "slot_taken",
        "wrong_network",
    }
    found, proven = ahead(leaves, 8, None)
    assert found == expected
    assert proven > len(leaves) / 4


def test_a_folder_verified_by_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(verify, "FEW", 0)
    draw = random.Random(7)
    leaves = mixed([(draw.randrange(16), draw.randrange(40)) for _ in range(700)])
    folder = write(tmp_path / "log", leaves)
    with worker_pool(2) as pool:
        found = verify_folder(folder, workers=pool)
    alone = verify_folder(folder)
    assert (list(found.voids), found.state.values, found.time) == one_by_one(leaves)
    assert (found.voids, found.root, found.time) == (alone.voids, alone.root, alone.time)
    assert found.state.values == alone.state.values


class Dead(Executor):
    """An executor whose workers have died."""

    def __init__(self, at):
        self.left = at

    def submit(self, function, /, *arguments, **named):
        self.left -= 1
        if self.left < 0:
            raise BrokenExecutor
        future = Future()
        future.set_exception(BrokenExecutor())
        return future


@pytest.mark.parametrize("at", [0, 2])
def test_dead_workers_change_nothing(at):
    leaves = mixed([(kind, kind) for kind in range(16)])
    assert ahead(leaves, 4, Dead(at))[0] == one_by_one(leaves)


def test_a_bundle_that_cannot_be_read_is_told_after_those_before_it(threads):
    def bundles():
        yield [b"a"]
        yield [b"b"]
        raise TileError("no third one")

    for workers in (None, threads):
        given = checked_bundles(bundles(), dict, workers)
        assert [next(given)[0], next(given)[0]] == [[b"a"], [b"b"]]
        with pytest.raises(TileError):
            next(given)


def test_nothing_is_proven_without_its_key():
    leaves = [entry.leaf() for entry, _ in ready().entries]
    assert not any(check_leaves(leaves, {}).proven)
    keys = keys_of(ready().state)
    assert all(check_leaves(leaves, keys).proven)
    for gone in {signature.key for leaf in leaves for signature in parse(leaf).sigs}:
        left = {name: raw for name, raw in keys.items() if name != gone}
        for leaf in leaves:
            names = {signature.key for signature in parse(leaf).sigs}
            assert is_proven(leaf, left) == (gone not in names)


def test_another_key_under_the_id_proves_nothing():
    leaf = founded().entries[0][0].leaf()
    keys = keys_of(founded().state)
    mixed_up = dict(zip(keys, [*list(keys.values())[1:], next(iter(keys.values()))], strict=True))
    assert is_proven(leaf, keys)
    assert not is_proven(leaf, mixed_up)


def test_any_changed_byte_of_a_leaf_unproves_it():
    net = ready()
    leaf, keys = net.intent().leaf(), keys_of(net.state)
    assert is_proven(leaf, keys)
    draw = random.Random(11)
    for place in draw.sample(range(len(leaf)), 400):
        changed = bytearray(leaf)
        changed[place] ^= draw.randrange(1, 256)
        assert not is_proven(bytes(changed), keys)


@settings(max_examples=30, deadline=None)
@given(steps=STEPS)
def test_the_signed_message_is_cut_out_exactly(steps):
    for leaf in mixed(steps):
        try:
            entry = parse(leaf)
        except EntryError:
            continue
        assert node_message_in(leaf) == node_message(entry)
        assert reread(leaf) == entry


def test_a_body_that_looks_like_signatures_is_not_cut_out():
    net = ready()
    body = {"code": "x", "count": 1, "sigs": ['],"time":"'], "note": ',"sigs":[{"a":1}],"time":"'}
    leaf = net.entry("incident", "office", body).leaf()
    assert node_message_in(leaf) == node_message(parse(leaf))
