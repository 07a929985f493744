"""Checks ``checkpoint``, ``receipt``, ``replay``: the report's statements about the ledger.

    checkpoint   one note, signed by the policy's log and cosigned by its quorum
    receipt      every entry is a leaf under that checkpoint (RFC 6962 path); genesis first, indices ascending
    replay       the entries in order through the contract, on an empty state: signatures, roles, approvals,
                 grants, slots and publications hold as they did on the ledger

Every later check reads the state this replay leaves. Signatures outside the ledger (a certificate's, a
department's receipt, a term list) count when their key was the member's node key at some time from the
question on; the seal's must be the office's at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from keys.errors import KeysError
from ledger import canonical, contract
from ledger.contract.records import MemberKey
from ledger.contract.replay import Replay
from ledger.contract.state import MemoryState
from ledger.contract.view import View
from ledger.entries.entry import Entry, parse
from ledger.formats.checkpoint import Checkpoint
from ledger.formats.note import Note
from ledger.formats.policy import Policy
from ledger.merkle import leaf_hash, verify_inclusion
from node.report.findings import CheckFailedError, Findings, require
from protocols.check.json_form import SignatureValue


@dataclass
class Proven:
    """What the report's entries prove.

    Attributes:
        view: typed reads of the replayed state.
        entries: parsed entries by index, as far as they parse.
        node_keys: (index, node key by member) after each entry that changed members.
    """

    view: View
    entries: dict[int, Entry] = field(default_factory=dict)
    node_keys: list[tuple[int, dict[str, MemberKey]]] = field(default_factory=list)

    def index_of(self, identifier: str) -> int:
        """Index of an entry by its id; 0 where the report has none."""
        return next((index for index, entry in self.entries.items() if entry.id == identifier), 0)

    def check_signature(
        self, member: str, signature: SignatureValue, message: bytes, since: int | None = None
    ) -> None:
        """Check that a signature is by a member's node key.

        Args:
            member: the member that is said to have signed.
            signature: as the report holds it.
            message: the signed bytes.
            since: index from which on the key may have been in force; None: in force at the end.

        Raises:
            CheckFailedError: it is not.
        """
        for key in self._keys(member, since):
            if (key.id, key.alg) == (signature.key, signature.alg):
                try:
                    key.verifier().verify(message, signature.raw)
                except KeysError as error:
                    raise CheckFailedError(f"the signature said to be {member}'s does not verify") from error
                return
        raise CheckFailedError(f"the signature is not by {member}'s node key on the ledger")

    def _keys(self, member: str, since: int | None) -> list[MemberKey]:
        """Node keys of a member in force at ``since`` or later; at the end only, where it is None."""
        start = len(self.node_keys) - 1
        while since is not None and start > 0 and self.node_keys[start][0] > since:
            start -= 1
        return [keys[member] for _, keys in self.node_keys[max(start, 0) :] if member in keys]


def read_ledger(report: dict[str, Any], policy: Policy | None, found: Findings) -> Proven:
    """Run the three checks; what they prove is as much as held."""
    head = _head(report, policy, found)
    state = MemoryState()
    proven = Proven(View(state))
    replay = Replay(state, contract.apply)
    last = -1
    entries: list[Any] = []
    with found.check("receipt"):
        entries = list(report["ledger"]["entries"])
        require(bool(entries) and entries[0]["index"] == 0, "the first entry is not the network's genesis")
    for item in entries:
        index, entry = _receive(item, last, head, found)
        if entry is None:
            continue
        last = index
        proven.entries[index] = entry
        with found.check("replay", str(index)):
            replay.admit(entry)
            if entry.type.startswith(("network.", "member.")):
                proven.node_keys.append((index, _node_keys(proven.view)))
    return proven


def _head(report: dict[str, Any], policy: Policy | None, found: Findings) -> Checkpoint | None:
    """The checkpoint, verified or not: paths are checked against it either way, each under its own name."""
    head: Checkpoint | None = None
    with found.check("checkpoint"):
        note = str(report["ledger"]["checkpoint"]).encode()
        head = Checkpoint.parse(Note.parse(note).text)
        if policy is None:
            raise CheckFailedError("no trusted policy to verify the checkpoint under")
        policy.verify_checkpoint(note)
    return head


def _receive(item: Any, last: int, head: Checkpoint | None, found: Findings) -> tuple[int, Entry | None]:
    """One entry: its form, its place after the one before, its path; None where it does not even parse."""
    index, entry = -1, None
    label = str(item["index"]) if isinstance(item, dict) and type(item.get("index")) is int else ""
    with found.check("receipt", label):
        leaf = canonical.encode(item["leaf"])
        entry, index = parse(leaf), int(item["index"])
        require(index > last, "the entries do not stand in the ledger's order, each once")
        if head is None:
            raise CheckFailedError("there is no checkpoint to prove the entry under")
        path = [bytes.fromhex(node) for node in item["path"]]
        verify_inclusion(index, head.size, leaf_hash(leaf), path, head.root)
    return index, entry


def _node_keys(view: View) -> dict[str, MemberKey]:
    """Node key of every active member."""
    keys = ((member.id, member.key_for("node")) for member in view.members())
    return {member: key for member, key in keys if key is not None}
