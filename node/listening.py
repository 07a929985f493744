"""Whether an address can be listened on, asked before gRPC is: it would say so in lines of its own."""

from __future__ import annotations

import errno
import socket

from node.errors import ConfigurationError


def require_free(address: str) -> None:
    """An address of this machine that nobody listens on.

    A host may have several addresses, and one is enough, as for gRPC. Port 0 is free.

    Raises:
        ConfigurationError: none can be opened.
    """
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(
            host.removeprefix("[").removesuffix("]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise ConfigurationError(
            f"{address} cannot be opened ({error.strerror}): correct [listen]"
        ) from error
    errors = [_bind(family, where) for family, _, _, _, where in found]
    failed = [error for error in errors if error is not None]
    if len(failed) == len(errors):
        taken = any(error.errno == errno.EADDRINUSE for error in failed)
        remedy = "is another node running there?" if taken else "correct [listen] in node.toml"
        raise ConfigurationError(f"{address} cannot be opened ({failed[0].strerror}): {remedy}")


def _bind(family: int, where: tuple[object, ...]) -> OSError | None:
    """What is in the way of listening there; None: nothing."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
    except OSError as error:
        return error
    return None
