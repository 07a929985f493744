"""The ceremony's file at its holders: one share a home, the right one, and people who know which."""

from __future__ import annotations

import copy
import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ledger.storage.database import open_database
from node.cli.sumkey import sumkey
from node.errors import ConfigurationError, UsageError
from node.member_keys import open_keys
from node.membership import sum_key_ceremony
from node.membership.home_setup import init_home
from node.membership.network import read_card
from node.membership.sum_key_ceremony import recorded_modulus
from node.store.opening import migrate

MEMBERS = {"office": "office", "audit": "trustee", "tax": "department"}
SUITE = "paillier-2048-test"
VECTORS = Path(__file__).parents[2] / "vectors"


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three homes and two ceremonies of the same public test primes, their salts different."""
    folder = tmp_path_factory.mktemp("ceremony")
    homes = {
        name: init_home(folder / name, name, name, (role,), "127.0.0.1:1") for name, role in MEMBERS.items()
    }
    cards = {name: read_card(made.home.card) for name, made in homes.items()}
    primes = runpy.run_path(str(VECTORS / "make_paillier.py"))["PRIMES"][SUITE]
    pair = tuple(int(prime, 16) for prime in primes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sum_key_ceremony, "_primes", lambda _profile: pair)
        dealt = [sum_key_ceremony.run("net", SUITE, cards["office"], [cards["audit"]]) for _ in range(2)]
    return {"homes": homes, "cards": cards, "dealt": dealt}


def test_one_share_a_home(founded: dict[str, Any]) -> None:
    vault = open_keys(founded["homes"]["audit"]).vault
    first, second = founded["dealt"]
    shown = sum_key_ceremony.install(first, "audit", vault)
    held = vault.get(sum_key_ceremony.SHARE_NAME)
    assert shown == sum_key_ceremony.fingerprint(first["body"]["modulus"])
    assert len(shown) == 32
    assert sum_key_ceremony.install(first, "audit", vault) == shown, "the same file again is fine"
    with pytest.raises(ConfigurationError, match="already holds a share of another ceremony"):
        sum_key_ceremony.install(second, "audit", vault)
    with pytest.raises(ConfigurationError, match="another sum key"):
        sum_key_ceremony.install(first, "audit", vault, "00ff")
    assert vault.get(sum_key_ceremony.SHARE_NAME) == held
    files = founded["homes"]["audit"].home.keys.glob("sumshare*")
    assert [path.name for path in files] == ["sumshare.secret"]


def test_only_holders_install_and_only_trustees_sign(founded: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "ceremony.json"
    file.write_text(json.dumps(founded["dealt"][0]))
    runner = CliRunner()
    for command, member, said in (
        ("install", "tax", "tax is no holder in this ceremony"),
        ("sign", "tax", "tax is no trustee in this ceremony"),
        ("sign", "office", "office is no trustee in this ceremony"),
    ):
        result = runner.invoke(sumkey, [command, str(founded["homes"][member].home.root), str(file)])
        assert isinstance(result.exception, ConfigurationError)
        assert said in str(result.exception)
    result = runner.invoke(sumkey, ["install", str(founded["homes"]["office"].home.root), str(file)])
    assert result.exit_code == 0, result.exception
    assert "fingerprint of n: " in result.output
    file.write_text(json.dumps({"body": founded["dealt"][0]["body"]}))
    with pytest.raises(ConfigurationError, match="is no ceremony file"):
        sum_key_ceremony.read_file(file)


def test_a_ceremony_replaces_no_file(
    founded: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sealed shares may be the only ones; it says so before the search for primes."""
    monkeypatch.setattr(sum_key_ceremony, "run", lambda *_: pytest.fail("the search has begun"))
    file = tmp_path / "ceremony.json"
    file.write_text("shares")
    cards = [str(founded["homes"][name].home.card) for name in ("office", "audit")]
    words = ["deal", str(file), "--network", "net", "--office", cards[0], "--trustee", cards[1]]
    result = CliRunner().invoke(sumkey, words)
    assert isinstance(result.exception, UsageError)
    assert "is there already: its sealed shares may be the only ones" in str(result.exception)
    assert file.read_text() == "shares"


def test_cards_have_the_roles_they_are_given_for(founded: dict[str, Any]) -> None:
    cards = copy.deepcopy(founded["cards"])
    with pytest.raises(ConfigurationError, match="tax does not hold the role office"):
        sum_key_ceremony.run("net", SUITE, cards["tax"], [cards["audit"]])
    with pytest.raises(ConfigurationError, match="tax does not hold the role trustee"):
        sum_key_ceremony.run("net", SUITE, cards["office"], [cards["tax"]])


def test_what_the_own_replica_knows(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/node.db"
    assert recorded_modulus(url) is None
    assert not (tmp_path / "node.db").exists(), "asking makes no database"
    engine = open_database(url)
    with engine.begin():
        pass
    assert recorded_modulus(url) is None, "no tables yet"
    migrate(engine)
    engine.dispose()
    assert recorded_modulus(url) is None, "no key yet"
