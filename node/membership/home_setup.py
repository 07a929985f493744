"""Creation of a member's home: keys, configuration and card."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from keys.certificate_checks import server_name
from keys.errors import WrongNameError
from ledger.entries import body_schema
from ledger.errors import EntryRefusedError
from node.config import Configuration, read_configuration, read_settings
from node.errors import ConfigurationError
from node.home import Home, naming_file, write_file
from node.member_keys import create_keys, draw_passphrase, make_card, open_keys, save_passphrase

DRIVERS = ("sqlite", "postgresql+psycopg")
MAX_PORT = 65535


def init_home(  # noqa: PLR0913  one argument per option of `hedui node init`
    root: Path,
    member: str,
    name: str,
    roles: tuple[str, ...],
    listen: str,
    endpoint: str | None = None,
    passphrase_file: Path | None = None,
    store: str | None = None,
    *,
    ledger: str | None = None,
) -> Configuration:
    """Create a home.

    Args:
        root: the home's folder, which holds no node yet.
        member: id, lower-case letters, digits and dashes.
        name: the member's name for people.
        roles: roles of the member.
        listen: ``host:port`` to listen on.
        endpoint: ``host:port`` that other members use; by default the same.
        passphrase_file: file with the passphrase; by default one is generated and kept in HOME/keys.
        store: database URL; by default SQLite in the home.
        ledger: engine URI of the ledger; by default the embedded log.

    Raises:
        ConfigurationError: the folder holds a node already, or an argument cannot be used; nothing is
            written.
        KeysError: the passphrase is empty; nothing is left behind.
    """
    home = Home(root.resolve())
    if home.configuration.exists():
        raise ConfigurationError(f"{root} holds a node already: choose another folder")
    if home.keys.exists():
        raise ConfigurationError(
            f"{home.keys} exists, but without a node: move it away, or choose another folder"
        )
    endpoint = listen if endpoint is None else endpoint
    document = _document(member, name, roles, listen, endpoint, passphrase_file, store)
    if ledger is not None:
        document += f"\n[ledger]\nuri = {_quoted(ledger)}\n"
    drawn = draw_passphrase() if passphrase_file is None else None
    configuration = read_settings(home, document.encode(), drawn)
    _check(configuration)
    with naming_file(home.root), _temporary_home(home.root) as making:
        if drawn is not None:
            save_passphrase(making, drawn)
        create_keys(making, configuration.passphrase, member, roles)
        card = make_card(configuration, open_keys(replace(configuration, home=making)))
        write_file(making.card, json.dumps(card, indent=1, ensure_ascii=False).encode() + b"\n")
        write_file(making.configuration, document.encode())
    return read_configuration(root)


@contextmanager
def _temporary_home(root: Path) -> Iterator[Home]:
    """A temporary folder in which a home is made; after the block it becomes ``root``, or is removed.

    The folder is created beside ``root`` and renamed. If ``root`` holds other files or is a mount point, it
    is created inside, and its contents are moved out of it, node.toml last: without that file there is no
    node.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    within = root.is_dir() and (any(root.iterdir()) or root.is_mount() or not os.access(root.parent, os.W_OK))
    making = (root if within else root.parent) / f".{root.name}.{secrets.token_hex(4)}"
    making.mkdir()
    try:
        (making / "keys").mkdir(mode=0o700)
        home = Home(making)
        yield home
        if not within:
            making.rename(root)
        else:
            for part in (home.keys, home.card, home.configuration):
                part.rename(root / part.name)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _check(configuration: Configuration) -> None:
    """Check a new home's settings as other members and the ledger will, before anything is written.

    Raises:
        ConfigurationError: an id, name, address, endpoint or database URL cannot be used.
    """
    _host_of(configuration.listen, "--listen")
    try:
        body_schema.MEMBER_ID(configuration.member, "--id")
        server_name(configuration.member)
    except (EntryRefusedError, WrongNameError) as error:
        raise ConfigurationError(
            f"--id {configuration.member} is no member id: up to 32 lower-case letters, digits and dashes, a "
            "letter first and no dash at the end"
        ) from error
    try:
        body_schema.text(64)(configuration.name, "--name")
        body_schema.ENDPOINT(configuration.endpoint, "--endpoint")
    except EntryRefusedError as refused:
        raise ConfigurationError(refused.remedy) from refused
    host = _host_of(configuration.endpoint, "--endpoint")
    with contextlib.suppress(ValueError):
        if ip_address(host).is_unspecified:
            raise ConfigurationError(
                f"{configuration.endpoint} is an address to listen on, and no other member reaches this node "
                "there: give --endpoint"
            )
    check_store(configuration.store_url)


def check_store(url: str) -> None:
    """Check that ``--store`` names a kind of database that a node can use.

    Raises:
        ConfigurationError: it is not a URL, or names another kind of database.
    """
    try:
        driver = make_url(url).drivername
    except ArgumentError as error:
        raise ConfigurationError("--store is no database URL: give postgresql+psycopg://…") from error
    if driver not in DRIVERS:
        raise ConfigurationError(f"--store is one of {', '.join(DRIVERS)}; got {driver}")


def _host_of(address: str, option: str) -> str:
    """The host of ``host:port``.

    Raises:
        ConfigurationError: the address has another form; the message names ``option``.
    """
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) <= MAX_PORT):
        raise ConfigurationError(f"{option} is HOST:PORT, with a port up to {MAX_PORT}; got {address!r}")
    return host.removeprefix("[").removesuffix("]")


def _document(
    member: str,
    name: str,
    roles: tuple[str, ...],
    listen: str,
    endpoint: str,
    passphrase_file: Path | None,
    store: str | None,
) -> str:
    """Text of node.toml; parsed once, so that only readable text is written."""
    lines = [
        "[member]",
        f"id = {_quoted(member)}",
        f"name = {_quoted(name)}",
        f"roles = [{', '.join(_quoted(role) for role in roles)}]",
        "",
        "[listen]",
        f"address = {_quoted(listen)}",
        f"endpoint = {_quoted(endpoint)}",
        "",
        "[store]",
        f"url = {_quoted(store or 'sqlite:///node.db')}",
    ]
    if passphrase_file is not None:
        lines += ["", "[keys]", f"passphrase_file = {_quoted(str(passphrase_file.resolve()))}"]
    text = "\n".join(lines) + "\n"
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError("a name, address or path holds characters node.toml cannot hold") from error
    return text


def _quoted(text: str) -> str:
    """A TOML basic string; a JSON string is a valid one."""
    return json.dumps(text, ensure_ascii=False)
