"""What the public log says, replayed through the contract and ordered by question.

``hedui ledger verify`` says whether the log is genuine; this module only reads it. A void entry changes
nothing. Its code is kept, so that a difference can say that an entry was ordered and refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from ledger import contract
from ledger.audit.reading import read_leaves
from ledger.audit.source import MAX_POLICY_BYTES, LogSource
from ledger.contract.records import Intent
from ledger.contract.replay import Replay
from ledger.contract.state import MemoryState
from ledger.contract.view import View, dataset_owner
from ledger.entries.entry import Entry, parse
from ledger.errors import (
    EntryError,
    EntryRefusedError,
    LedgerError,
    PolicyError,
    TileError,
    TileMissingError,
)
from ledger.formats.layout import POLICY
from ledger.formats.policy import Policy
from ledger.merkle import MemoryTree, leaf_hash
from node.audit.reconcile.difference import ABSENT
from node.errors import UsageError
from protocols.check.commitments import CODE


@dataclass(frozen=True)
class RecordedAnswer:
    """One ``query.answer``: result, response digest, and the entry's time."""

    result: str
    response: str
    at: str


@dataclass(frozen=True)
class RecordedIncident:
    """One ``incident`` that counts refusals without a valid intent."""

    member: str
    commitment: str
    count: int
    at: str


@dataclass
class LedgerRecords:
    """The replayed log.

    Attributes:
        policy: whom the log's network trusts.
        view: typed reads of the state.
        tree: of the log, for the leaves and roots that reports embed.
        time: the contract's time.
        intents: accepted intents by query.
        words: by (query, dataset), in order.
        incidents: in order.
        releases: (list digest, time) by (query, case, trustee).
        voids: code of the last void entry by (type, what it was about).
    """

    policy: Policy
    view: View
    tree: MemoryTree = field(default_factory=MemoryTree)
    time: str = ""
    intents: dict[str, Intent] = field(default_factory=dict)
    words: dict[tuple[str, str], list[RecordedAnswer]] = field(default_factory=dict)
    incidents: list[RecordedIncident] = field(default_factory=list)
    releases: dict[tuple[str, int, str], tuple[str, str]] = field(default_factory=dict)
    voids: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def network(self) -> str:
        """The network's name."""
        found = self.view.network()
        return "" if found is None else found.network

    def missing(self, kind: str, about: str) -> str:
        """The ledger's word on an entry that does not count: ``void:<code>`` or ``absent``."""
        code = self.voids.get((kind, about))
        return ABSENT if code is None else f"void:{code}"

    def answered(self, query: str, dataset: str) -> RecordedAnswer | None:
        """The ``answered`` of a dataset, or None."""
        return next(
            (word for word in self.words.get((query, dataset), ()) if word.result == "answered"), None
        )

    def add(self, entry: Entry, submitter: str) -> None:
        """Take an accepted entry."""
        body = entry.body
        if entry.type == "query.intent":
            intent = self.view.intent(entry.id)
            assert intent is not None
            self.intents[entry.id] = intent
        elif entry.type == "query.answer":
            word = RecordedAnswer(body["result"], body["response"], entry.time)
            self.words.setdefault((body["query"], body["dataset"]), []).append(word)
        elif entry.type == "incident" and body["code"] == CODE:
            self.incidents.append(
                RecordedIncident(submitter, body.get("commitment", ""), body["count"], entry.time)
            )
        elif entry.type == "share.release":
            self.releases[body["query"], body["case"], submitter] = (body["list"], entry.time)


def read_ledger(source: LogSource) -> LedgerRecords:
    """Replay a public log.

    Raises:
        UsageError: it has no policy.
        LedgerError: it cannot be read.
    """
    return replayed(read_policy(source), read_leaves(source))


def read_policy(source: LogSource) -> Policy:
    """The policy that lies beside a public log.

    Raises:
        UsageError: there is none, or it is none.
    """
    try:
        return Policy.parse(source.fetch(POLICY, MAX_POLICY_BYTES).decode("utf-8"))
    except (TileError, TileMissingError, UnicodeDecodeError, PolicyError) as error:
        raise UsageError(f"{source.place} is no public log: it has no readable policy") from error


def replayed(policy: Policy, leaves: Iterable[bytes]) -> LedgerRecords:
    """Replay leaves from the first.

    Raises:
        LedgerError: there is none that founds a network.
    """
    state = MemoryState()
    side, replay = LedgerRecords(policy, View(state)), Replay(state, contract.apply)
    for leaf in leaves:
        side.tree.append(leaf_hash(leaf))
        with contextlib.suppress(EntryError):
            entry = parse(leaf)
            owner = side.view.member_by_key(entry.sigs[0].key)
            submitter = "" if owner is None else owner[0].id
            try:
                replay.admit(entry)
            except EntryRefusedError as refused:
                side.voids[entry.type, about(entry, submitter)] = refused.code
            else:
                side.add(entry, submitter)
    side.time = replay.time
    if side.view.network() is None:
        raise LedgerError("the log's first entry founds no network: verify it with `hedui ledger verify`")
    return side


def about(entry: Entry, submitter: str) -> str:
    """What an entry is about, as ``LedgerRecords.missing`` asks for it."""
    body = entry.body
    query, dataset = str(body.get("query", "")), str(body.get("dataset", ""))
    if entry.type == "query.answer":
        return f"{query}/{dataset}" if dataset_owner(dataset) == submitter else ""
    if entry.type == "share.release":
        return f"{query}/{body.get('case', '')}/{submitter}"
    return query if entry.type == "query.close" else entry.id
