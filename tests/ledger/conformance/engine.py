"""What an engine offers to the conformance suite, and what it may leave out.

A third engine plugs in like this, in a test module of its own::

    @pytest.fixture(scope="module")
    def subject():
        engine = MyEngine(...)          # anything with the methods of ``Engine``
        yield Subject(engine)           # founds the network, once
        engine.close()

    @pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
    def test_my_engine(case, subject):
        case(subject)

The cases share one ledger: each uses ids, grants and slots of its own and asks nothing of the size it
finds. The network, its keys and its policy are those of ``contract_cases`` and ``log_cases``; the
contract is the real one. ``FabricEngine`` in ``fabric_engine`` takes any connection profiles, those of a
real network too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ledger.formats.receipt import Receipt


class Engine(Protocol):
    """A running engine over an empty ledger, with witnesses."""

    @property
    def public(self) -> Path:
        """The published folder."""

    def now(self) -> str:
        """The time that entries must carry now, as a ledger time."""

    def append(self, leaf: bytes) -> Receipt:
        """Append as a member would; safe for threads."""

    def read(self, begin: int, end: int) -> Sequence[bytes]:
        """Final leaves."""

    def head(self) -> bytes:
        """Note of the last final checkpoint."""

    def restart(self) -> None:
        """Stop as a crash does, with nothing handed over, and start again on the same data."""

    def order_anyway(self, leaf: bytes) -> None:
        """Have a leaf ordered that the contract refuses, as dishonest orderers would; wait until it is final.

        Calls ``pytest.skip`` where the engine has no way to.
        """

    def close(self) -> None:
        """End everything."""
