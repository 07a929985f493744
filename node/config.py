"""A node's configuration: ``node.toml`` in its home, and the few settings that come from the environment.

    [member]   id, name, roles
    [listen]   address = "127.0.0.1:7401"      where the one port is opened
               endpoint = "host:port"          what other members are told
    [store]    url = "sqlite:///node.db"       relative to the home; or postgresql+psycopg://…
               …?password_file=/path           the password's file, for a URL that holds none
    [ledger]   uri = "embedded:"               or fabric:PROFILE.toml, relative to the home
    [work]     threads = 64, processes = 0     0: heavy work stays in the process
    [web]      address = "127.0.0.1:7480"      HTTP: the witness, the public log; absent: no HTTP port
    [[web.logs]] vkey = "…"                    further logs that this witness cosigns
    [keys]     passphrase_file = "…"           else HEDUI_PASSPHRASE, else HOME/keys/passphrase

    [timestamps]                               sequencer only: RFC 3161 time-stamps of checkpoints
               url = "http://…"                the authority
               ca = "tsa-ca.pem"               its certificates, the root among them, relative to the home
               every = 3600                    seconds between two stamps
               policy = "1.2.3"                the authority's policy wanted; any when absent

An unknown section or key is refused, since a misspelt setting would otherwise be ignored silently. Every
fault of the file is named at once with its path: see ``node.validation``.

This is the only module that reads the environment: HEDUI_PASSPHRASE, HEDUI_LANGUAGE, HEDUI_CONFIG (the folder
where a user pins trust policies), LANG. It sets LANGUAGE, by which gettext chooses a catalogue.
"""

from __future__ import annotations

import gettext
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from keys.tls import GRPC_CIPHER_SUITES
from node.errors import ConfigurationError
from node.home import PRIVATE, Home, read_bounded
from node.messages.catalogue import DOMAIN, FOLDER, LOCALES, language_of
from node.validation.documents import InvalidDocumentError, Problem, decode_toml

if TYPE_CHECKING:
    from node.validation.node_toml import NodeToml, StoreAndKeys, TimestampsTable, WebTable

EMBEDDED = "embedded:"
FABRIC = "fabric:"
MAX_PASSPHRASE_BYTES = 4096
ROLES = ("department", "office", "registrar", "trustee", "sequencer", "auditor")


@dataclass(frozen=True)
class WebSettings:
    """The HTTP edge of a node.

    Attributes:
        address: ``host:port`` it is opened on.
        logs: vkeys of further logs this member's witness cosigns.
    """

    address: str
    logs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Timestamps:
    """An authority that stamps checkpoints: address, file of certificates, seconds between, policy OID."""

    url: str
    ca: Path
    every: int = 3600
    policy: str | None = None


@dataclass(frozen=True)
class Configuration:
    """Settings of one node.

    Attributes:
        home: the member's home.
        member, name, roles: identity.
        listen: address the port is opened on.
        endpoint: address other members are told.
        store_url: SQLAlchemy URL of the member's database.
        ledger: engine URI of the ledger: ``embedded:`` or ``fabric:<path of a connection profile>``.
        threads: gRPC worker threads.
        processes: worker processes for heavy work; 0 keeps it in the node's own.
        passphrase: opens the secrets.
        web: the HTTP edge; None: no HTTP port.
        timestamps: who stamps the log's checkpoints, or None.
    """

    home: Home
    member: str
    name: str
    roles: tuple[str, ...]
    listen: str
    endpoint: str
    store_url: str = field(repr=False)
    ledger: str = EMBEDDED
    threads: int = 64
    processes: int = 0
    passphrase: bytes = field(default=b"", repr=False)
    web: WebSettings | None = None
    timestamps: Timestamps | None = None


def prepare_transport() -> None:
    """Make TLS 1.3 the only version gRPC can agree on; call before the first use of gRPC in a process."""
    os.environ["GRPC_SSL_CIPHER_SUITES"] = GRPC_CIPHER_SUITES
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")


def preferred_language() -> str:
    """``zh`` or ``en`` from the first of HEDUI_LANGUAGE, LC_ALL, LC_MESSAGES and LANG that is set."""
    names = ("HEDUI_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
    return language_of(next((value for name in names if (value := os.environ.get(name))), ""))


def prepare_language() -> None:
    """Make gettext, which click asks for its own words, use our catalogue in the preferred language.

    Call it before the commands are imported. The nodes that a demo starts inherit the choice.
    """
    os.environ["LANGUAGE"] = LOCALES.get(preferred_language(), "C")
    gettext.bindtextdomain(DOMAIN, str(FOLDER))
    gettext.textdomain(DOMAIN)


def user_folder() -> Path:
    """Where a user pins trust policies: HEDUI_CONFIG, XDG_CONFIG_HOME/hedui, or ~/.config/hedui."""
    chosen = os.environ.get("HEDUI_CONFIG")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "hedui"


def read_configuration(root: Path) -> Configuration:
    """Read and validate a home's ``node.toml``.

    Raises:
        ConfigurationError: a file or field is missing or wrong; says which and what to do.
    """
    home = Home(root.resolve()).require()
    return read_settings(home, home.configuration.read_bytes())


def read_settings(home: Home, text: bytes, passphrase: bytes | None = None) -> Configuration:
    """Settings from the text of a ``node.toml``, whether it is in the home yet or not.

    Args:
        home: what paths are relative to.
        text: TOML, UTF-8.
        passphrase: opens the secrets; read from where the settings say when None.

    Raises:
        ConfigurationError: as ``read_configuration``.
    """
    found = _read_document(home, text)
    named = found.keys.passphrase_file
    return Configuration(
        home=home,
        member=found.member.id,
        name=found.member.name,
        roles=found.member.roles,
        listen=found.listen.address,
        endpoint=found.listen.endpoint or found.listen.address,
        store_url=_store_url(home, found.store.url),
        ledger=_ledger(home, found.ledger.uri),
        threads=found.work.threads,
        processes=found.work.processes,
        passphrase=_passphrase(home, named) if passphrase is None else passphrase,
        web=_web(found.web),
        timestamps=_timestamps(home, found.timestamps),
    )


def store_url(root: Path) -> str:
    """SQLAlchemy URL of a home's database, without opening its secrets.

    Raises:
        ConfigurationError: node.toml is missing, or its database cannot be read from it.
    """
    home = Home(root.resolve()).require()
    return _store_url(home, _store_and_keys(home).store.url)


def is_store_absolute(home: Home) -> bool:
    """Whether node.toml names a SQLite file in the home by its absolute path."""
    path = _store_and_keys(home).store.url.removeprefix("sqlite:///")
    return path.startswith("/") and Path(path).resolve().is_relative_to(home.root)


def passphrase_path(home: Home) -> Path:
    """File that holds a home's passphrase, whether it is there or not: it never goes into a backup."""
    return _passphrase_path(home, _store_and_keys(home).keys.passphrase_file)


def exposed_passphrase(home: Home) -> Path | None:
    """The passphrase file in a home that others than its owner may read, or None.

    A file elsewhere is not judged: a container is given its secrets readable, and has no other users.
    """
    path = passphrase_path(home)
    if not path.is_relative_to(home.root) or not path.is_file():
        return None
    return path if path.stat().st_mode & PRIVATE else None


def environment_passphrase() -> bytes | None:
    """HEDUI_PASSPHRASE without white space around it, as in a file; None where nothing is left."""
    return os.environ.get("HEDUI_PASSPHRASE", "").encode().strip() or None


def passphrase_in(path: Path) -> bytes:
    """The passphrase a file holds, without white space around it.

    Raises:
        ConfigurationError: the file is too long to be one of a passphrase.
        OSError: it cannot be read.
    """
    data = read_bounded(path, MAX_PASSPHRASE_BYTES)
    if len(data) > MAX_PASSPHRASE_BYTES:
        raise ConfigurationError(
            f"{path} has more than {MAX_PASSPHRASE_BYTES} bytes: give the file of the passphrase"
        )
    return data.strip()


def _read_document(home: Home, text: bytes) -> NodeToml:
    """The validated text of a node.toml.

    Raises:
        InvalidDocumentError: with every fault.
    """
    from node.validation.node_toml import NodeToml  # noqa: PLC0415  pydantic, only where a home is read
    from node.validation.reading import read  # noqa: PLC0415

    problems: list[Problem] = []
    value = decode_toml(text, str(home.configuration), problems)
    found = None if value is None else read(NodeToml, value, str(home.configuration), problems)
    if found is None:
        raise InvalidDocumentError(problems)
    return found


def _store_and_keys(home: Home) -> StoreAndKeys:
    """The tables of a home's node.toml that a backup needs; the others need not be well formed.

    Raises:
        InvalidDocumentError: with every fault of the two tables.
    """
    from node.validation.node_toml import StoreAndKeys  # noqa: PLC0415  pydantic, only where a home is read
    from node.validation.reading import read  # noqa: PLC0415

    problems: list[Problem] = []
    file = str(home.configuration)
    value = decode_toml(home.configuration.read_bytes(), file, problems)
    found = None if value is None else read(StoreAndKeys, value, file, problems)
    if found is None:
        raise InvalidDocumentError(problems)
    return found


def _web(table: WebTable | None) -> WebSettings | None:
    """Settings of the HTTP edge where there is a table for it."""
    return None if table is None else WebSettings(table.address, tuple(log.vkey for log in table.logs))


def _timestamps(home: Home, table: TimestampsTable | None) -> Timestamps | None:
    """The authority of ``[timestamps]`` where there is one."""
    return None if table is None else Timestamps(table.url, home.root / table.ca, table.every, table.policy)


def _store_url(home: Home, configured: str) -> str:
    """The database's URL, with the password from the file it names in its query."""
    text = _url(home, configured)
    if "password_file=" not in text:
        return text
    from sqlalchemy.engine import make_url  # noqa: PLC0415  only where a password stands in a file
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        url = make_url(text)
        path = home.root / str(url.query["password_file"])
        password = path.read_text("utf-8").strip()
        whole = url.difference_update_query(["password_file"]).set(password=password)
        return whole.render_as_string(hide_password=False)
    except OSError as error:
        raise ConfigurationError("the file of the database's password cannot be read: restore it") from error
    except (ArgumentError, KeyError, ValueError):
        pass
    # Raised here, so that no cause with a part of the URL comes with it.
    raise ConfigurationError(f"{home.configuration}: store.url: must be a database URL")


def _url(home: Home, url: str) -> str:
    """Database URL with a relative SQLite path resolved against the home."""
    prefix = "sqlite:///"
    if url.startswith(prefix) and not url.startswith(prefix + "/"):
        return prefix + str(home.root / url.removeprefix(prefix))
    return url


def _ledger(home: Home, uri: str) -> str:
    """Engine URI with a relative profile resolved against the home."""
    if uri == EMBEDDED:
        return uri
    return FABRIC + str(home.root / uri.removeprefix(FABRIC))


def _passphrase_path(home: Home, named: str | None) -> Path:
    """The configured file of the passphrase, or the home's own."""
    return home.keys / "passphrase" if named is None else home.root / named


def _passphrase(home: Home, named: str | None) -> bytes:
    """The passphrase from the configured file, the environment, or the home's own file."""
    environment = environment_passphrase()
    if named is None and environment is not None:
        return environment
    path = _passphrase_path(home, named)
    try:
        return passphrase_in(path)
    except PermissionError as error:
        raise ConfigurationError(
            f"the passphrase file {path} may not be read by this user: run the command as the node's user"
        ) from error
    except OSError as error:
        raise ConfigurationError(
            f"the passphrase file {path} cannot be read: restore it, or set HEDUI_PASSPHRASE"
        ) from error
