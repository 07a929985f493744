"""An address is asked for before gRPC is: one line says what is in the way."""

from __future__ import annotations

import socket

import pytest

from node.errors import ConfigurationError
from node.rpc.server import require_free


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_is_taken(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"{host}:{taken.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match=r"cannot be opened .*: is another node running there\?"):
            require_free(address)
    require_free(address)


def test_a_port_whose_last_connection_has_just_ended() -> None:
    """As gRPC takes it: a node that is started again does not wait for it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        client = socket.create_connection(address)
        served, _ = server.accept()
        served.close()
        client.close()
    require_free(f"{address[0]}:{address[1]}")


def test_what_is_no_address_of_this_machine() -> None:
    for address in ("192.0.2.1:7400", "nowhere.invalid:7400"):
        with pytest.raises(ConfigurationError, match=r"cannot be opened .*: correct \[listen\]"):
            require_free(address)


def test_one_address_of_a_host_is_enough() -> None:
    require_free("localhost:0")
    if socket.has_ipv6:
        require_free("[::]:0")
