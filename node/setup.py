"""Making a member's home: keys, configuration, card."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from node.config import Configuration, read_configuration
from node.errors import ConfigurationError
from node.home import Home, write_file
from node.identity import create_keys, make_card, open_keys, save_passphrase


def init_home(  # noqa: PLR0913  one argument an option of `hedui node init`
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
        root: folder; must hold no node yet.
        member: id, letters, digits and dashes.
        name: name for people.
        roles: roles of the member.
        listen: ``host:port`` the port is opened on.
        endpoint: what other members are told; the same when absent.
        passphrase_file: where the passphrase is; one is drawn into HOME/keys when absent.
        store: database URL; SQLite in the home when absent.
        ledger: engine URI of the ledger; the embedded log when absent.

    Raises:
        ConfigurationError: the folder holds a node already, or an argument cannot be used.
    """
    home = Home(root.resolve())
    if home.configuration.exists():
        raise ConfigurationError(f"{root} holds a node already: choose another folder")
    document = _document(member, name, roles, listen, endpoint or listen, passphrase_file, store)
    if ledger is not None:
        document += f"\n[ledger]\nuri = {_quoted(ledger)}\n"
    home.root.mkdir(parents=True, exist_ok=True)
    home.keys.mkdir(mode=0o700, exist_ok=True)
    passphrase = save_passphrase(home) if passphrase_file is None else passphrase_file.read_bytes().strip()
    create_keys(home, passphrase, member, roles)
    write_file(home.configuration, document.encode())
    configuration = read_configuration(root)
    card = make_card(configuration, open_keys(configuration))
    write_file(home.card, json.dumps(card, indent=1, ensure_ascii=False).encode() + b"\n")
    return configuration


def _document(
    member: str,
    name: str,
    roles: tuple[str, ...],
    listen: str,
    endpoint: str,
    passphrase_file: Path | None,
    store: str | None,
) -> str:
    """Text of node.toml; read back once so that what is written can be read."""
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
    """A TOML basic string: JSON's quoting is within TOML's."""
    return json.dumps(text, ensure_ascii=False)
