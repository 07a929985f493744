"""A chaincode server that endorses everything, as organisations in collusion could run it.

``python -m tests.fabric.dishonest --listen HOST:PORT --id PACKAGE-ID …`` is ``hedui ledger chaincode`` with a
contract that refuses nothing.
"""

from __future__ import annotations

from typing import Any

from node.config import prepare_transport


def main() -> None:
    """Run the command with the contract exchanged."""
    prepare_transport()
    from ledger.fabric.chaincode import Chaincode  # noqa: PLC0415  after the transport is prepared
    from node.cli import ledger_fabric  # noqa: PLC0415

    def admit(*_: Any) -> None:
        return None

    ledger_fabric.Chaincode = lambda now, names: Chaincode(now, admit, names)  # type: ignore[assignment,misc]
    ledger_fabric.chaincode()


if __name__ == "__main__":
    main()
