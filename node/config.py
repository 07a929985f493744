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

An unknown section or key is refused: what is misspelt would be left out without a word.

This is the only module that reads the environment: HEDUI_PASSPHRASE, HEDUI_LANGUAGE, HEDUI_CONFIG (the folder
where a user pins trust policies), LANG. It sets LANGUAGE, by which gettext chooses a catalogue.
"""

from __future__ import annotations

import gettext
import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from keys.tls import GRPC_CIPHER_SUITES
from node.errors import ConfigurationError
from node.home import PRIVATE, Home, read_bounded
from node.messages.catalogue import DOMAIN, FOLDER, LOCALES, language_of

EMBEDDED = "embedded:"
FABRIC = "fabric:"
KNOWN = {
    "member": ("id", "name", "roles"),
    "listen": ("address", "endpoint"),
    "store": ("url",),
    "ledger": ("uri",),
    "work": ("threads", "processes"),
    "web": ("address", "logs"),
    "keys": ("passphrase_file",),
    "timestamps": ("url", "ca", "every", "policy"),
}
"""Sections of node.toml and their keys."""
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
    """``zh`` or ``en`` from HEDUI_LANGUAGE, else LANG."""
    return language_of(os.environ.get("HEDUI_LANGUAGE") or os.environ.get("LANG", ""))


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
    try:
        document = tomllib.loads(text.decode("utf-8"))
        _require_known(document)
        member, listen = document["member"], document["listen"]
        store, work = document.get("store", {}), document.get("work", {})
        return Configuration(
            home=home,
            member=str(member["id"]),
            name=str(member["name"]),
            roles=_roles(member["roles"]),
            listen=str(listen["address"]),
            endpoint=str(listen.get("endpoint", listen["address"])),
            store_url=_store_url(home, store),
            ledger=_ledger(home, str(document.get("ledger", {}).get("uri", EMBEDDED))),
            threads=int(work.get("threads", 64)),
            processes=int(work.get("processes", 0)),
            passphrase=_passphrase(home, document.get("keys", {})) if passphrase is None else passphrase,
            web=_web(document.get("web")),
            timestamps=_timestamps(home, document.get("timestamps")),
        )
    except KeyError as error:
        raise ConfigurationError(f"{home.configuration} lacks {error.args[0]}: add it") from error
    except (tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{home.configuration} cannot be read: {error}") from error


def store_url(root: Path) -> str:
    """SQLAlchemy URL of a home's database, without opening its secrets.

    Raises:
        ConfigurationError: node.toml is missing or cannot be read.
    """
    home = Home(root.resolve()).require()
    try:
        store = tomllib.loads(home.configuration.read_text("utf-8")).get("store", {})
        return _store_url(home, store)
    except (tomllib.TOMLDecodeError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"{home.configuration} cannot be read: {error}") from error


def is_store_absolute(home: Home) -> bool:
    """Whether node.toml names a SQLite file in the home by its absolute path."""
    store = tomllib.loads(home.configuration.read_text("utf-8")).get("store", {})
    path = str(store.get("url", "")).removeprefix("sqlite:///")
    return path.startswith("/") and Path(path).resolve().is_relative_to(home.root)


def passphrase_path(home: Home) -> Path:
    """File that holds a home's passphrase, whether it is there or not: it never goes into a backup."""
    named = tomllib.loads(home.configuration.read_text("utf-8")).get("keys", {}).get("passphrase_file")
    return home.keys / "passphrase" if named is None else home.root / str(named)


def exposed_passphrase(home: Home) -> Path | None:
    """The passphrase file in a home that others than its owner may read, or None.

    Of one elsewhere nothing is said: a container is given its secrets readable, and nobody else is in it.
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


def _require_known(document: dict[str, Any]) -> None:
    """Every section and key of node.toml is one that is read."""
    _among("section", document, KNOWN)
    for section, keys in KNOWN.items():
        table = document.get(section, {})
        if not isinstance(table, dict):
            raise TypeError(f"[{section}] is a table of {', '.join(keys)}")
        _among(f"key of [{section}]", table, keys)
    for each in document.get("web", {}).get("logs", ()):
        _among("key of [[web.logs]]", each, ("vkey",))


def _among(what: str, found: Iterable[str], known: Iterable[str]) -> None:
    unknown = [name for name in found if name not in known]
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is no {what}: those known are {', '.join(known)}")


def _roles(value: Any) -> tuple[str, ...]:
    """Validated roles of a member."""
    roles = tuple(str(role) for role in value)
    unknown = [role for role in roles if role not in ROLES]
    if unknown or not roles:
        raise ValueError(f"roles must be among {', '.join(ROLES)}; got {', '.join(unknown) or 'none'}")
    return roles


def _web(section: dict[str, Any] | None) -> WebSettings | None:
    """Settings of the HTTP edge where there is a section for it."""
    if section is None:
        return None
    return WebSettings(str(section["address"]), tuple(str(log["vkey"]) for log in section.get("logs", ())))


def _timestamps(home: Home, value: Any) -> Timestamps | None:
    """The authority of ``[timestamps]``."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise TypeError("timestamps is a table: url, ca, every, policy")
    every, policy = int(value.get("every", 3600)), value.get("policy")
    if every <= 0:
        raise ValueError("timestamps.every is a number of seconds greater than 0")
    ca = home.root / str(value["ca"])
    return Timestamps(str(value["url"]), ca, every, None if policy is None else str(policy))


def _store_url(home: Home, store: dict[str, Any]) -> str:
    """The database's URL, with the password from the file it names in its query."""
    text = _url(home, str(store.get("url", "sqlite:///node.db")))
    if "password_file=" not in text:
        return text
    try:
        url = make_url(text)
        path = home.root / str(url.query["password_file"])
        password = path.read_text("utf-8").strip()
        whole = url.difference_update_query(["password_file"]).set(password=password)
        return whole.render_as_string(hide_password=False)
    except OSError as error:
        raise ConfigurationError("the file of the database's password cannot be read: restore it") from error
    except (ArgumentError, KeyError) as error:
        raise ConfigurationError(f"{home.configuration}: [store] url is no database URL") from error


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
    if not uri.startswith(FABRIC) or uri == FABRIC:
        raise ValueError(f"[ledger] uri is {EMBEDDED} or {FABRIC}<connection profile>")
    return FABRIC + str(home.root / uri.removeprefix(FABRIC))


def _passphrase(home: Home, keys: dict[str, Any]) -> bytes:
    """The passphrase from the configured file, the environment, or the home's own file."""
    named = keys.get("passphrase_file")
    environment = environment_passphrase()
    if named is None and environment is not None:
        return environment
    path = home.keys / "passphrase" if named is None else (home.root / str(named))
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
