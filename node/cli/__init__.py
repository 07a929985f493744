"""The ``hedui`` command: the entry point sets up transport and language before other imports."""

from __future__ import annotations


def main() -> None:
    """Run the command line; exit status 0 done and valid, 1 invalid or refused, 2 usage, 3 not available."""
    from node.config import prepare_language, prepare_transport  # noqa: PLC0415  before gRPC

    prepare_transport()
    prepare_language()
    from node.cli.root import run  # noqa: PLC0415  imports gRPC

    run()
