"""Making a home and reading its configuration: what is wrong is said with its remedy."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from keys.errors import WrongPassphraseError
from ledger.entries.body_schema import ROLES as LEDGER_ROLES
from node import config
from node.config import prepare_transport, read_configuration, store_url
from node.errors import ConfigurationError
from node.member_keys import open_keys
from node.membership.home_setup import init_home
from node.validation.documents import InvalidDocumentError
from tests.node.upkeep.backup_cases import network_file

GOOD = """[member]
id = "tax"
name = "税务局"
roles = ["department"]
[listen]
address = "127.0.0.1:7401"
"""


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "HEDUI_PASSPHRASE",
        "HEDUI_LANGUAGE",
        "HEDUI_CONFIG",
        "XDG_CONFIG_HOME",
        "LANG",
        "LC_ALL",
        "LC_MESSAGES",
    ):
        monkeypatch.delenv(name, raising=False)


def home(root: Path, text: str) -> Path:
    (root / "keys").mkdir(exist_ok=True)
    (root / "keys" / "passphrase").write_text("secret\n")
    (root / "node.toml").write_text(text)
    return root


def test_defaults(tmp_path: Path) -> None:
    found = read_configuration(home(tmp_path, GOOD))
    assert (found.member, found.roles, found.endpoint) == ("tax", ("department",), "127.0.0.1:7401")
    assert found.store_url == f"sqlite:///{tmp_path.resolve()}/node.db"
    assert found.ledger == "embedded:"
    assert (found.threads, found.processes, found.passphrase) == (64, 0, b"secret")
    assert "secret" not in repr(found)


def test_every_setting(tmp_path: Path) -> None:
    text = (
        GOOD
        + """endpoint = "tax.example:1"
[store]
url = "postgresql+psycopg://u@h/b"
[work]
threads = 3
processes = 0
[ledger]
uri = "fabric:fabric/org1.toml"
"""
    )
    found = read_configuration(home(tmp_path, text))
    assert (found.endpoint, found.store_url) == ("tax.example:1", "postgresql+psycopg://u@h/b")
    assert (found.threads, found.processes) == (3, 0)
    assert found.ledger == f"fabric:{tmp_path.resolve()}/fabric/org1.toml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"member: is missing: give a table \[member\] with id, name and roles"),
        (GOOD.replace('id = "tax"\n', ""), "member.id: is missing: give the member's id"),
        (GOOD.replace('address = "127.0.0.1:7401"\n', ""), "address: is missing: give HOST:PORT"),
        (GOOD.replace('["department"]', "[]"), "roles: is empty: give a list with .* department"),
        (
            GOOD.replace('["department"]', '["king"]'),
            r"roles\[1\]: must be one of auditor, department",
        ),
        (GOOD.replace('["department"]', "3"), "member.roles: must be a list with at least one of"),
        (GOOD.replace('"127.0.0.1:7401"', "7401"), "listen.address: must be HOST:PORT"),
        (GOOD + "[work]\nthreads = 'many'\n", "work.threads: must be an integer, 1 or more"),
        (GOOD + "[work]\nthreads = '64'\n", "work.threads: must be an integer, 1 or more"),
        (GOOD + "[work]\nthreads = 0\nprocesses = -1\n", "work.threads: .*\n.*work.processes: must be"),
        (GOOD + "[[[", "is not TOML, correct it at line 7"),
        (
            GOOD + "[ledger]\nuri = 'fabric:'\n",
            "ledger.uri: must be embedded: or fabric:<connection profile>",
        ),
        (GOOD + "[ledger]\nuri = 'sawtooth:x'\n", "embedded: or fabric:<"),
        ("member = 1\nlisten = 2\n", r"member: must be a table .*\n.*listen: must be a table"),
        (GOOD + "[timestamp]\nurl = 'x'\n", "timestamp: is not known here: .* use one of .*timestamps"),
        (GOOD + "[store]\nbogus = 1\n", "store.bogus: is not known here: remove it or use one of url"),
        (GOOD + "enpoint = 'x:1'\n", "listen.enpoint: is not known here: .* one of address, endpoint"),
        (
            GOOD + "[web]\naddress = 'h:1'\n[[web.logs]]\nkey = 'x'\n",
            r"web.logs\[1\].vkey: is missing: .*\n.*web.logs\[1\].key: is not known here: .* use one of vkey",
        ),
        (GOOD + "[web]\naddress = 'h:1'\nlogs = [1]\n", r"web.logs\[1\]: must be a table"),
        (GOOD + "[store]\nurl = 'none?password_file=x'\n", "store.url: must be a database URL"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read_configuration(home(tmp_path, text))


def test_every_fault_is_named_at_once_with_the_file(tmp_path: Path) -> None:
    text = GOOD.replace('id = "tax"', "id = 7") + "enpoint = 'x:1'\n[store]\nurl = 1\n[weB]\n"
    with pytest.raises(InvalidDocumentError) as caught:
        read_configuration(home(tmp_path, text))
    problems = caught.value.problems
    assert {problem.file for problem in problems} == {str(tmp_path.resolve() / "node.toml")}
    assert [problem.field for problem in problems] == ["member.id", "listen.enpoint", "store.url", "weB"]
    assert caught.value.code == "configuration"


def test_roles_are_those_of_the_ledger() -> None:
    assert set(config.ROLES) == set(LEDGER_ROLES)


def test_the_database_is_found_whatever_the_rest_of_the_file_holds(tmp_path: Path) -> None:
    home(tmp_path, GOOD + "old = 1\n[store]\nurl = 'sqlite:///other.db'\n[older]\n")
    assert store_url(tmp_path) == f"sqlite:///{tmp_path.resolve()}/other.db"
    home(tmp_path, "[store]\nuri = 1\n")
    with pytest.raises(ConfigurationError, match=r"store.uri: is not known here: .* one of url"):
        store_url(tmp_path)


def test_no_home(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="hedui node init"):
        read_configuration(tmp_path)


def test_where_the_passphrase_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = home(tmp_path, GOOD)
    monkeypatch.setenv("HEDUI_PASSPHRASE", "from the environment")
    assert read_configuration(root).passphrase == b"from the environment"
    (tmp_path / "elsewhere").write_bytes(b" from a file \n")
    home(tmp_path, GOOD + '[keys]\npassphrase_file = "elsewhere"\n')
    assert read_configuration(root).passphrase == b"from a file", "the configured file goes first"
    (tmp_path / "elsewhere").unlink()
    with pytest.raises(ConfigurationError, match="restore it, or set HEDUI_PASSPHRASE"):
        read_configuration(root)


def test_language_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.preferred_language() == "en"
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert config.preferred_language() == "zh"
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    assert config.preferred_language() == "en"
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    assert config.preferred_language() == "zh"
    monkeypatch.setenv("HEDUI_LANGUAGE", "en")
    assert config.preferred_language() == "en"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert config.user_folder() == tmp_path / ".config" / "hedui"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert config.user_folder() == tmp_path / "xdg" / "hedui"
    monkeypatch.setenv("HEDUI_CONFIG", str(tmp_path / "own"))
    assert config.user_folder() == tmp_path / "own"


@pytest.mark.parametrize("role", config.ROLES)
def test_a_home_of_each_role(tmp_path: Path, role: str) -> None:
    made = init_home(tmp_path / "h", "m-1", '引号 " \\ 与', (role,), "127.0.0.1:0", "host:1")
    assert read_configuration(tmp_path / "h") == made
    assert made.name == '引号 " \\ 与'
    card = json.loads(made.home.card.read_text())
    uses = sorted(key["use"] for key in card["keys"])
    assert uses == sorted(
        ["node", "operator", "operator", "seal", "log" if role == "sequencer" else "witness"]
    )
    assert (card["id"], card["roles"], card["endpoint"]) == ("m-1", [role], "host:1")
    keys = open_keys(made)
    assert card["keys"][0]["public"] == keys.node.public.raw.hex()
    secrets = [path for path in made.home.keys.rglob("*") if path.is_file() and path.name != "vault.json"]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in secrets)
    assert not [path for path in secrets if keys.node.seed in path.read_bytes()]
    assert {"padding", "subjects"} <= set(keys.vault.names()) or role != "registrar"


def test_a_home_is_never_overwritten(tmp_path: Path) -> None:
    init_home(tmp_path, "a", "a", ("office",), "127.0.0.1:0")
    before = (tmp_path / "card.json").read_bytes()
    with pytest.raises(ConfigurationError, match="choose another folder"):
        init_home(tmp_path, "b", "b", ("office",), "127.0.0.1:0")
    assert (tmp_path / "card.json").read_bytes() == before


def test_another_passphrase_opens_nothing(tmp_path: Path) -> None:
    made = init_home(tmp_path, "a", "a", ("office",), "127.0.0.1:0")
    (made.home.keys / "passphrase").write_text("f" * 64)
    with pytest.raises(WrongPassphraseError):
        open_keys(read_configuration(tmp_path))


def test_a_home_belongs_to_the_member_whose_keys_it_holds(tmp_path: Path) -> None:
    made = init_home(tmp_path, "tax", "T", ("department",), "127.0.0.1:0")
    text = made.home.configuration.read_text("utf-8")
    made.home.configuration.write_text(text.replace('id = "tax"', 'id = "sib"'), "utf-8")
    with pytest.raises(ConfigurationError, match=r'says id sib, .* those of tax: write id = "tax" there'):
        open_keys(read_configuration(tmp_path))


def test_a_passphrase_that_others_may_read_is_named(tmp_path: Path) -> None:
    made = init_home(tmp_path / "home", "tax", "T", ("department",), "127.0.0.1:0")
    own = made.home.keys / "passphrase"
    assert config.exposed_passphrase(made.home) is None
    own.chmod(0o640)
    assert config.exposed_passphrase(made.home) == own
    (tmp_path / "secret").write_bytes(own.read_bytes())
    with made.home.configuration.open("a", encoding="utf-8") as file:
        file.write(f'\n[keys]\npassphrase_file = "{tmp_path / "secret"}"\n')
    assert config.exposed_passphrase(made.home) is None, "one elsewhere may be a container's"


@pytest.mark.parametrize("member", ["a_b", "A", "1a", "a-", "a" * 33, ""])
def test_an_id_that_no_member_can_have(tmp_path: Path, member: str) -> None:
    with pytest.raises(ConfigurationError, match=r"is no member id: up to 32 lower-case letters, digits and"):
        init_home(tmp_path / "home", member, "T", ("department",), "127.0.0.1:0")
    assert not (tmp_path / "home").exists()


def test_stamps_are_for_the_member_that_runs_the_log(tmp_path: Path) -> None:
    made = init_home(tmp_path, "tax", "T", ("department",), "127.0.0.1:0")
    made.home.network.write_bytes(network_file())
    with made.home.configuration.open("a", encoding="utf-8") as file:
        file.write('\n[timestamps]\nurl = "http://tsa.example/tsr"\nca = "tsa-ca.pem"\n')
    prepare_transport()
    from node.app import Node  # noqa: PLC0415  its import reads the transport's settings

    with pytest.raises(ConfigurationError, match=r"\[timestamps\] is for the member that runs the log"):
        Node(read_configuration(tmp_path))


def test_names_that_toml_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot hold"):
        init_home(tmp_path / "h", "a", "\x7f", ("office",), "127.0.0.1:0")
    assert not (tmp_path / "h").exists()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"member": "Tax Office"}, "--id Tax Office is no member id"),
        ({"name": ""}, "--name must be printable"),
        ({"listen": "127.0.0.1"}, "--listen is HOST:PORT"),
        ({"listen": "127.0.0.1:99999"}, "--listen is HOST:PORT"),
        ({"listen": ":7401"}, "--listen is HOST:PORT"),
        ({"listen": "0.0.0.0:7401"}, "give --endpoint"),
        ({"listen": "[::]:7401"}, "give --endpoint"),
        ({"endpoint": "[::0]:7401"}, "give --endpoint"),
        ({"endpoint": "tax.example:70000"}, "--endpoint is HOST:PORT"),
        ({"store": "mysql://x"}, "--store is one of sqlite"),
        ({"store": "nonsense"}, "no database URL"),
        ({"ledger": "sawtooth:x"}, "fabric:<connection profile>"),
        ({"passphrase_file": Path("absent")}, "cannot be read"),
    ],
)
def test_what_cannot_be_used_leaves_nothing(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    good = {"member": "tax", "name": "t", "roles": ("department",), "listen": "127.0.0.1:7401"}
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        init_home(tmp_path / "h", **(good | values))
    assert not list(tmp_path.iterdir())
    init_home(tmp_path / "h", **(good | {"listen": "0.0.0.0:7401", "endpoint": "tax.example:7401"}))


@pytest.mark.parametrize("other", [None, "connection.toml"])
def test_a_home_appears_whole_or_not_at_all(tmp_path: Path, other: str | None) -> None:
    root, empty = tmp_path / "h", tmp_path / "empty"
    root.mkdir()
    empty.touch()
    if other is not None:
        (root / other).touch()
    kept = sorted(tmp_path.rglob("*"))
    with pytest.raises(WrongPassphraseError):
        init_home(root, "tax", "t", ("department",), "127.0.0.1:1", passphrase_file=empty)
    assert sorted(tmp_path.rglob("*")) == kept
    init_home(root, "tax", "t", ("department",), "127.0.0.1:1")
    open_keys(read_configuration(root))
    parts = {"card.json", "keys", "node.toml"} | ({other} if other else set())
    assert {path.name for path in root.iterdir()} == parts
    assert stat.S_IMODE((root / "keys").stat().st_mode) == 0o700
    (root / "node.toml").unlink()
    with pytest.raises(ConfigurationError, match="exists, but without a node"):
        init_home(root, "tax", "t", ("department",), "127.0.0.1:1")


def test_the_web_edge_is_off_until_it_is_asked_for(tmp_path: Path) -> None:
    made = init_home(tmp_path, "a", "a", ("office",), "127.0.0.1:0")
    assert made.web is None
    text = made.home.configuration.read_text()
    made.home.configuration.write_text(f'{text}\n[web]\naddress = "127.0.0.1:7480"\n')
    assert read_configuration(tmp_path).web == config.WebSettings("127.0.0.1:7480")
    logs = '[[web.logs]]\nvkey = "one"\n[[web.logs]]\nvkey = "two"\n'
    made.home.configuration.write_text(f'{text}\n[web]\naddress = "127.0.0.1:7480"\n{logs}')
    assert read_configuration(tmp_path).web == config.WebSettings("127.0.0.1:7480", ("one", "two"))


@pytest.mark.parametrize(
    "section", ["[web]\n", '[web]\naddress = "h:1"\n[[web.logs]]\nkey = "x"\n', 'web = "127.0.0.1:7480"\n']
)
def test_a_web_section_that_says_too_little(tmp_path: Path, section: str) -> None:
    made = init_home(tmp_path, "a", "a", ("office",), "127.0.0.1:0")
    text = made.home.configuration.read_text()
    made.home.configuration.write_text(f"{section}\n{text}")
    with pytest.raises(ConfigurationError):
        read_configuration(tmp_path)


def test_a_databases_password_may_stand_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("p/w@:ü\n", encoding="utf-8")
    url = f"postgresql+psycopg://tax@db:5432/tax?password_file={secret}&connect_timeout=5"
    made = init_home(tmp_path / "home", "tax", "t", ("department",), "127.0.0.1:1", store=url)
    found = make_url(made.store_url)
    assert (found.username, found.password, found.host) == ("tax", "p/w@:ü", "db")
    assert dict(found.query) == {"connect_timeout": "5"}
    assert "p/w" not in (made.home.configuration).read_text("utf-8")
    assert "p/w" not in repr(made)
    assert store_url(tmp_path / "home") == made.store_url
    secret.unlink()
    with pytest.raises(ConfigurationError, match="password"):
        read_configuration(tmp_path / "home")
