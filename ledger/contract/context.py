"""The context in which a rule of the contract refuses one entry, or writes it to the state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ledger.contract.records import Member, MemberKey, Network
from ledger.contract.state import State
from ledger.contract.view import View
from ledger.entries.entry import Body, Entry
from ledger.errors import EntryRefusedError


@dataclass(frozen=True)
class Context:
    """One entry that a rule decides about.

    Attributes:
        state: an overlay; nothing put here lasts unless the whole entry is accepted.
        view: typed reads over the same overlay.
        network: what genesis fixed (for the genesis entry: what it is about to fix).
        entry: the entry, its form and signatures checked.
        now: the contract's time.
        submitter: the member whose node key signed first, with the roles the table wants.
        cosigners: further signers with their keys, as the table wants them.
        proven: every signature of entry and body is verified already (``contract.apply_proven``).
    """

    state: State
    view: View
    network: Network
    entry: Entry
    now: str
    submitter: Member
    cosigners: tuple[tuple[Member, MemberKey], ...]
    proven: bool = False

    @property
    def body(self) -> Body:
        """The entry's body, of the form its schema gives."""
        return self.entry.body

    def record(self) -> dict[str, Any]:
        """The record of this entry as the state keeps it."""
        return {"entry": self.entry.id, "by": self.submitter.id, "at": self.now, "body": self.entry.body}

    def put_new(self, key: str, value: Any, code: str, remedy: str) -> None:
        """Put ``value`` under a key that must still be free.

        Raises:
            EntryRefusedError: ``code``, when the key is taken.
        """
        require(self.state.get(key) is None, code, remedy)
        self.state.put(key, value)

    def append(self, key: str, item: str) -> None:
        """Add ``item`` at the end of the list under ``key``."""
        self.state.put(key, [*(self.state.get(key) or []), item])


def require(holds: bool, code: str, remedy: str) -> None:
    """Refuse the entry unless ``holds``.

    Raises:
        EntryRefusedError: ``code`` with the remedy otherwise.
    """
    if not holds:
        raise EntryRefusedError(code, remedy)
