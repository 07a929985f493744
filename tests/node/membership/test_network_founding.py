"""Founding and joining: nobody signs what it has not read; nothing is sealed that a founder did not sign."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from keys.signing import SigningKey
from ledger.contract import apply
from ledger.contract.network import SEPARATE_ROLES
from ledger.contract.state import MemoryState
from ledger.contract.view import View
from ledger.entries.entry import parse
from ledger.errors import EntryRefusedError
from ledger.formats.note import VerifierKey
from ledger.formats.policy import Policy
from ledger.storage.database import REPLICA, create_tables, open_database, writing
from ledger.storage.tree_store import TreeStore
from node.errors import ConfigurationError
from node.home import Home
from node.member_keys import open_keys
from node.membership import network
from node.membership.home_setup import init_home
from node.membership.network import NetworkFile

TIME = "2026-11-22T02:00:00Z"
FOUNDERS = (("log", "sequencer"), ("office", "office"), ("desk", "registrar"), ("tax", "department"))


class Founding:
    """Founders with their cards and keys, and a proposal that nobody has signed."""

    def __init__(self, folder: Path) -> None:
        self.homes = {
            name: init_home(folder / name, name, name, (role,), "127.0.0.1:1") for name, role in FOUNDERS
        }
        self.cards = [network.read_card(made.home.card) for made in self.homes.values()]
        self.keys = {name: open_keys(made).node for name, made in self.homes.items()}
        self.proposal = network.propose("net", "2026-11", "paillier-3072", self.cards, pilot=False)

    def sign(self, *names: str) -> dict[str, Any]:
        for card in self.cards:
            if card["id"] in (names or self.keys):
                network.sign_proposal(self.proposal, card, self.keys[card["id"]])
        return self.proposal


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Founding:
    return Founding(tmp_path_factory.mktemp("founding"))


@pytest.fixture
def founding(homes: Founding) -> Founding:
    made = copy.copy(homes)
    made.proposal = copy.deepcopy(homes.proposal)
    return made


def test_a_signed_proposal_becomes_genesis(founding: Founding) -> None:
    leaf, file = network.seal(founding.sign(), founding.keys["log"], TIME)
    apply(MemoryState(), parse(leaf), TIME)
    assert file.genesis == hashlib.sha256(leaf).digest()
    assert len(file.policy.witnesses) == 3
    assert file.first.member == "log"
    assert {contact.member for contact in network.genesis_contacts(leaf)} == set(founding.keys)
    names = network.witness_names(founding.cards)
    assert sorted(names.values()) == ["desk", "office", "tax"]
    assert {witness.name for witness in file.policy.witnesses} == set(names)


@pytest.mark.parametrize("missing", ["log", "office", "desk", "tax"])
def test_a_founder_has_not_signed(founding: Founding, missing: str) -> None:
    founding.sign(*(name for name in founding.keys if name != missing))
    with pytest.raises(ConfigurationError, match=f"lacks the signature of {missing}"):
        network.seal(founding.proposal, founding.keys["log"], TIME)


def test_signing_twice_is_signing_once(founding: Founding) -> None:
    founding.sign()
    assert len(founding.sign()["sigs"]) == 4


def changed(proposal: dict[str, Any], change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    made = copy.deepcopy(proposal)
    change(made)
    return made


def swap_key(made: dict[str, Any]) -> None:
    card = next(card for card in made["body"]["members"] if card["id"] == "tax")
    card["keys"][0]["public"] = SigningKey.generate().public.raw.hex()


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "another key of mine": swap_key,
    "another address of mine": lambda made: made["body"]["members"][3].update(endpoint="evil:1"),
    "more roles of mine": lambda made: made["body"]["members"][3].update(roles=["department", "trustee"]),
    "without me": lambda made: made["body"]["members"].pop(3),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_founder_signs_its_own_card_only(founding: Founding, name: str) -> None:
    with pytest.raises(ConfigurationError, match="do not sign it"):
        network.sign_proposal(
            changed(founding.proposal, CHANGES[name]), founding.cards[3], founding.keys["tax"]
        )


def test_a_proposal_changed_after_signing(founding: Founding) -> None:
    """Sealing does not hide it: the contract refuses the genesis entry everywhere."""
    founding.sign()
    for change in (
        lambda made: made["body"].update(pilot=True),
        lambda made: made["body"]["params"].update(suite="pad64"),
        lambda made: made.update(network="other"),
    ):
        leaf, _ = network.seal(changed(founding.proposal, change), founding.keys["log"], TIME)
        with pytest.raises(EntryRefusedError):
            apply(MemoryState(), parse(leaf), TIME)


def test_only_the_sequencer_seals(founding: Founding) -> None:
    with pytest.raises(ConfigurationError, match="only the sequencer seals"):
        network.seal(founding.sign(), founding.keys["office"], TIME)


def test_who_cannot_found(founding: Founding) -> None:
    log, office, desk, tax = founding.cards
    for cards in ([log, office], [office, desk, tax], [log, {**office, "roles": ["sequencer"]}, desk], []):
        with pytest.raises(ConfigurationError, match="at least three members, exactly one"):
            network.propose("net", "2026-11", "paillier-3072", cards, pilot=False)


@pytest.mark.parametrize("name", ["S_County!", "", "-a", "a" * 65, "县"])
def test_a_name_that_no_entry_can_have(founding: Founding, name: str) -> None:
    """It is refused before any founder signs, not when all have."""
    with pytest.raises(ConfigurationError, match=r"would refuse this network: network is malformed"):
        network.propose(name, "2026-11", "paillier-3072", founding.cards, pilot=False)


def test_a_label_or_card_that_the_ledger_refuses(founding: Founding) -> None:
    with pytest.raises(ConfigurationError, match=r"would refuse this network: .*epoch"):
        network.propose("net", "November!", "paillier-3072", founding.cards, pilot=False)
    cards = [{**founding.cards[0], "endpoint": "nowhere"}, *founding.cards[1:]]
    with pytest.raises(ConfigurationError, match=r"would refuse this network: .*endpoint"):
        network.propose("net", "2026-11", "paillier-3072", cards, pilot=False)


def test_joining_pins_one_network(founding: Founding, tmp_path: Path) -> None:
    leaf, file = network.seal(founding.sign(), founding.keys["log"], TIME)
    home = Home(tmp_path)
    network.join(home, file, leaf)
    assert NetworkFile.read(home.network) == file
    assert (tmp_path / "genesis.leaf").read_bytes() == leaf
    network.join(home, file)
    with pytest.raises(ConfigurationError, match="use a new home"):
        network.join(home, replace(file, genesis=bytes(32)))
    assert NetworkFile.read(home.network) == file


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.pop("genesis"),
        lambda value: value.update(genesis="zz"),
        lambda value: value.update(policy="quorum 0"),
        lambda value: value.update(policy=7),
        lambda value: value.update(first={}),
        lambda value: value["first"].update(authority=1),
    ],
)
def test_a_malformed_invitation(
    founding: Founding, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    value = json.loads(network.seal(founding.sign(), founding.keys["log"], TIME)[1].format())
    change(value)
    path = tmp_path / "network.json"
    path.write_text(json.dumps(value))
    with pytest.raises(ConfigurationError, match="ask for a new invitation"):
        NetworkFile.read(path)


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="hedui network join"):
        NetworkFile.read(tmp_path / "network.json")
    for text in ("", "[]", "{}", "\x00"):
        (tmp_path / "card.json").write_text(text)
        with pytest.raises(ConfigurationError, match="hedui node init"):
            network.read_card(tmp_path / "card.json")
    for text in ("", "[]", "7"):
        (tmp_path / "network.json").write_text(text)
        with pytest.raises(ConfigurationError, match="not a network file"):
            NetworkFile.read(tmp_path / "network.json")


STRANGERS = [
    VerifierKey(f"witness{number}.example/w", 4, SigningKey.from_seed(bytes([number] * 32)).public).format()
    for number in (1, 2)
]
ADDRESSES = [
    f"{STRANGERS[0]}@https://witness1.example/w",
    f"{STRANGERS[1]}@http://user@127.0.0.1:7380",
]


def test_foreign_witnesses_are_signed_by_every_founder_and_stand_outside_the_quorum(
    founding: Founding,
) -> None:
    founding.proposal = network.propose(
        "net", "2026-11", "paillier-3072", founding.cards, pilot=False, foreign=ADDRESSES
    )
    leaf, file = network.seal(founding.sign(), founding.keys["log"], TIME)
    state = MemoryState()
    apply(state, parse(leaf), TIME)
    founded = View(state).network()
    assert founded is not None
    params = founded.params
    assert (params["witness_1"], params["witness_2_url"]) == (STRANGERS[0], "http://user@127.0.0.1:7380")
    assert [(one.key.format(), one.url) for one in file.policy.further] == [
        (STRANGERS[0], "https://witness1.example/w"),
        (STRANGERS[1], "http://user@127.0.0.1:7380"),
    ]
    assert len(file.policy.witnesses) == 3
    again = Policy.parse(file.policy.format())
    assert again == file.policy
    founding.proposal["body"]["params"]["witness_1_url"] = "https://elsewhere.example"
    with pytest.raises(EntryRefusedError):
        apply(MemoryState(), parse(network.seal(founding.proposal, founding.keys["log"], TIME)[0]), TIME)


@pytest.mark.parametrize(
    "foreign",
    [
        ["nonsense"],
        [STRANGERS[0]],
        [f"{STRANGERS[0]}@"],
        [f"{STRANGERS[0]}@ftp://witness1.example"],
        [f"{STRANGERS[0]}@https://"],
        [f"{STRANGERS[0]}@https://witness1.example/a b"],
        [f"{STRANGERS[0]}@https://witness1.example/{'a' * 128}"],
        [f"{STRANGERS[0][:-4]}AAA=@https://witness1.example"],
        [ADDRESSES[0], ADDRESSES[0]],
        [ADDRESSES[0]] * 9,
    ],
)
def test_a_foreign_witness_that_cannot_be_used_is_refused(founding: Founding, foreign: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        network.propose("net", "2026-11", "paillier-3072", founding.cards, pilot=False, foreign=foreign)


def test_a_witness_of_the_network_is_no_foreign_one(founding: Founding) -> None:
    own = network.policy_of(founding.cards, {}).witnesses[0].key.format()
    with pytest.raises(ConfigurationError, match="listed once"):
        network.propose(
            "net",
            "2026-11",
            "paillier-3072",
            founding.cards,
            pilot=False,
            foreign=[f"{own}@https://w.example"],
        )


@pytest.mark.parametrize("pair", SEPARATE_ROLES, ids="-".join)
def test_roles_that_only_a_pilot_joins_are_refused_before_a_founder_signs(
    founding: Founding, pair: tuple[str, str]
) -> None:
    cards = [
        {**card, "roles": list(pair)} if card["id"] == ("log" if "sequencer" in pair else "tax") else card
        for card in founding.cards
    ]
    with pytest.raises(ConfigurationError, match=f"would be {pair[0]} and {pair[1]}"):
        network.propose("net", "2026-11", "paillier-3072", cards, pilot=False)
    assert network.propose("net", "2026-11", "paillier-3072", cards, pilot=True)["body"]["pilot"]


def test_an_admission_is_refused_where_the_replica_says_that_the_network_is_no_pilot(
    founding: Founding, tmp_path: Path
) -> None:
    card = {**founding.cards[3], "roles": ["department", "auditor"]}
    url = f"sqlite:///{tmp_path / 'node.db'}"
    network.check_admission(url, card)  # nothing is replayed yet, so that the contract alone decides
    database = open_database(url)
    create_tables(database)
    founded = {"network": "net", "pilot": True, "epoch": "2026-11", "params": {"suite": "paillier-3072"}}
    with writing(database) as connection:
        TreeStore(REPLICA).put_values(connection, {"network": founded})
    network.check_admission(url, card)
    with writing(database) as connection:
        TreeStore(REPLICA).put_values(connection, {"network": {**founded, "pilot": False}})
    database.dispose()
    with pytest.raises(ConfigurationError, match="would be department and auditor"):
        network.check_admission(url, card)
