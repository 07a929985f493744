"""gRPC channels to other members: one per member, which trusts only that member's certificate authority."""

from __future__ import annotations

import ssl
import threading

import grpc

from keys.tls import Identity, server_name
from node.errors import ServiceUnavailableError
from node.rpc.directory import Directory
from node.rpc.server import MAX_MESSAGE_BYTES

PAUSE_MS = 2_000
"""Longest pause between two attempts at a connection."""
REGAIN_SECONDS = 3.0
"""Seconds to wait for a lost connection: longer than ``PAUSE_MS``, so that a restarted node is reached."""


class Channels:
    """Open channels by member id; replaced when a member's endpoint or authority changes on the ledger.

    No channel is closed explicitly: calls may be in progress on it, and creating a stub on a closed channel
    ends the process (grpc 1.85). A channel closes when the last reference to it is dropped.
    """

    def __init__(self, directory: Directory, identity: Identity) -> None:
        """Open no channel yet.

        Args:
            directory: finds members' endpoints and authorities.
            identity: certificate and key that this node presents.
        """
        self._directory = directory
        self._identity = identity
        self._lock = threading.Lock()
        self._open: dict[str, tuple[str, bytes, grpc.Channel]] = {}
        self._closed = False

    def to(self, member: str) -> grpc.Channel:
        """The channel to a member.

        Raises:
            ServiceUnavailableError: the member is not known here, or this node is stopping.
        """
        contact = self._directory.contact(member)
        with self._lock:
            if self._closed:
                raise ServiceUnavailableError(
                    "this node is stopping and calls no other member: try again once it runs"
                )
            held = self._open.get(member)
            if held is not None and held[:2] == (contact.endpoint, contact.authority):
                return held[2]
            channel = open_channel(contact.endpoint, contact.authority, self._identity, server_name(member))
            self._open[member] = (contact.endpoint, contact.authority, channel)
        return channel

    def regained(self, member: str) -> bool:
        """Whether there is a connection to a member, or one is made within ``REGAIN_SECONDS``."""
        ready = threading.Event()

        def watch(state: grpc.ChannelConnectivity) -> None:
            if state is grpc.ChannelConnectivity.READY:
                ready.set()

        channel = self.to(member)
        channel.subscribe(watch, try_to_connect=True)
        try:
            return ready.wait(REGAIN_SECONDS)
        finally:
            channel.unsubscribe(watch)

    def close(self) -> None:
        """Drop every channel; later calls of ``to`` fail."""
        with self._lock:
            self._closed = True
            self._open.clear()


def open_channel(endpoint: str, authority: bytes, identity: Identity, name: str) -> grpc.Channel:
    """A mutual-TLS channel to one endpoint.

    Args:
        endpoint: ``host:port``; always resolved by DNS, so that a member cannot name another of gRPC's
            schemes, such as ``unix:``.
        authority: DER of the only authority trusted for it.
        identity: own certificate chain and key.
        name: name that must stand in the peer's certificate.
    """
    credentials = grpc.ssl_channel_credentials(
        root_certificates=ssl.DER_cert_to_PEM_cert(authority).encode(),
        private_key=identity.key_pem,
        certificate_chain=identity.chain_pem,
    )
    options = [
        ("grpc.ssl_target_name_override", name),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", PAUSE_MS),
        ("grpc.enable_http_proxy", 0),
    ]
    return grpc.secure_channel(f"dns:///{endpoint}", credentials, options)
