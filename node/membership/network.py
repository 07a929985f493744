"""Founding and joining a network: cards, the genesis entry and the invitation.

    each founder    node init → card.json
    one of them     network create: a proposal from all cards, without signatures
    each founder    network sign: checks its own card in the proposal, signs the body
    the sequencer   network seal: once all have signed → genesis leaf, network.json
    each founder    network join: pins genesis digest and trust policy in its home

``network.json`` is the invitation: genesis digest, trust policy, first address. A later member is admitted by
an entry that a majority of the founders signs, and joins with the same file.

Foreign witnesses, which no member of this network runs, are named in the genesis entry's parameters, so that
every founder signs them: ``witness_<i>`` is a vkey, ``witness_<i>_url`` its submission prefix, i from 1. The
    trust
policy lists them outside its quorum group (``ledger.formats.policy``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keys.errors import KeysError
from keys.signing import PublicKey, SigningKey
from keys.tls import check_profile
from ledger import canonical
from ledger.contract.network import conflicting_roles
from ledger.contract.view import View
from ledger.entries import bodies, body_schema
from ledger.entries import entry as entries
from ledger.entries.entry import Signature
from ledger.errors import LedgerError, NoteError
from ledger.formats.note import TYPE_COSIGNATURE, TYPE_ED25519, VerifierKey
from ledger.formats.policy import Policy, WitnessKey
from ledger.sequencer.http_witness import check_url
from node.errors import ConfigurationError
from node.home import Home, read_document, write_file
from node.membership.home_replica import read_replica
from node.rpc.directory import Contact

GENESIS = "genesis"
ANY_TIME = "2000-01-01T00:00:00Z"
MAX_FOREIGN = 8
PARAMETER_CHARACTERS = 128


@dataclass(frozen=True)
class NetworkFile:
    """Contents of ``network.json``.

    Attributes:
        network: the network's name.
        genesis: SHA-256 of the genesis leaf, 32 bytes.
        policy: the trust policy.
        first: the contact of the sequencer, the first address that a new member calls.
    """

    network: str
    genesis: bytes
    policy: Policy
    first: Contact

    def format(self) -> bytes:
        """The file's bytes."""
        document = {
            "network": self.network,
            "genesis": self.genesis.hex(),
            "policy": self.policy.format(),
            "first": {
                "member": self.first.member,
                "endpoint": self.first.endpoint,
                "authority": self.first.authority.hex(),
            },
        }
        return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"

    @classmethod
    def read(cls, path: Path) -> NetworkFile:
        """Read a network file.

        Raises:
            ConfigurationError: missing or malformed.
        """
        try:
            value = json.loads(path.read_text("utf-8"))
            first = value["first"]
            return cls(
                str(value["network"]),
                bytes.fromhex(value["genesis"]),
                Policy.parse(value["policy"]),
                Contact(first["member"], first["endpoint"], bytes.fromhex(first["authority"])),
            )
        except FileNotFoundError as error:
            raise ConfigurationError(
                f"{path} is missing: join a network first with `hedui network join`"
            ) from error
        except (KeyError, TypeError, ValueError, LedgerError) as error:
            raise ConfigurationError(f"{path} is not a network file: ask for a new invitation") from error


def read_card(path: Path) -> dict[str, Any]:
    """Read a member's card.

    Raises:
        ConfigurationError: it is missing, malformed, or without a certificate authority of its member.
    """
    card = read_document(path, "id", "is no member card: `hedui node init` writes one")
    check_card(card)
    return card


def check_card(card: dict[str, Any]) -> None:
    """Check the certificate authority on a card, which the contract accepts without a check.

    Raises:
        ConfigurationError: it is not an authority of this member.
    """
    try:
        check_profile(bytes.fromhex(card["tls"]), member=str(card["id"]))
    except (KeyError, TypeError, ValueError, KeysError) as error:
        raise ConfigurationError(
            f"the card of {card.get('id')} has no certificate authority of its own: ask for the card.json "
            "that `hedui node init` wrote"
        ) from error


def propose(
    network: str,
    epoch: str,
    suite: str,
    cards: list[dict[str, Any]],
    *,
    pilot: bool,
    foreign: Sequence[str] = (),
) -> dict[str, Any]:
    """A genesis proposal that every founder must sign.

    Args:
        network: the network's name.
        epoch: label of the first epoch.
        suite: name of the suite for totals.
        cards: the cards of all founders.
        pilot: whether one member may have roles that are separate in production.
        foreign: foreign witnesses, each ``VKEY@URL``.

    Raises:
        ConfigurationError: fewer than three members, not exactly one sequencer, roles on one member that
            only a pilot may join, a foreign witness that cannot be used, or a name, label or card that the
            ledger would refuse.
    """
    sequencers = [card for card in cards if "sequencer" in card["roles"]]
    if len(cards) < 3 or len(sequencers) != 1:
        raise ConfigurationError("a network has at least three members, exactly one of them the sequencer")
    if not pilot:
        for card in cards:
            check_separate(card)
    params = {"suite": suite, **_foreign_parameters(foreign)}
    try:
        policy_of(cards, params)
    except LedgerError as error:
        raise ConfigurationError(f"no trust policy can be made of these members: {error}") from error
    body = bodies.network_genesis(pilot=pilot, epoch=epoch, members=cards, params=params)
    try:
        entries.draft(network, "network.genesis", GENESIS, ANY_TIME, body)
        body_schema.check_body("network.genesis", body)
    except LedgerError as error:
        raise ConfigurationError(f"the ledger would refuse this network: {error}") from error
    return {"network": network, "body": body, "sigs": []}


def check_separate(card: dict[str, Any]) -> None:
    """Refuse a card whose roles only a pilot may join.

    Raises:
        ConfigurationError: names the member and both roles.
    """
    conflict = conflicting_roles(card["roles"])
    if conflict is not None:
        raise ConfigurationError(
            f"{card['id']} would be {conflict[0]} and {conflict[1]}: give one role to another member, or "
            "create the network with --pilot"
        )


def check_admission(store_url: str, card: dict[str, Any]) -> None:
    """Refuse to draft or sign an admission that the contract would refuse for the member's roles.

    Args:
        store_url: database of the home whose replica says whether the network is a pilot. Where it says
            nothing yet, the contract alone decides.
        card: of the member to be admitted.

    Raises:
        ConfigurationError: names the member and both roles.
    """
    network = read_replica(store_url, View.network)
    if network is not None and not network.pilot:
        check_separate(card)


def sign_proposal(proposal: dict[str, Any], card: dict[str, Any], key: SigningKey) -> None:
    """Add a founder's signature to a proposal that holds its own card unchanged.

    Raises:
        ConfigurationError: the proposal does not hold this card, or a card has no valid authority.
    """
    for each in proposal["body"]["members"]:
        check_card(each)
    if card not in proposal["body"]["members"]:
        raise ConfigurationError("the proposal does not hold this member's card unchanged: do not sign it")
    message = entries.body_message(proposal["network"], "network.genesis", GENESIS, proposal["body"])
    signed = entries.sign_message(key, message).to_json()
    if signed not in proposal["sigs"]:
        proposal["sigs"].append(signed)


def seal(proposal: dict[str, Any], key: SigningKey, time: str) -> tuple[bytes, NetworkFile]:
    """Make the genesis leaf, signed by the sequencer's node and every founder, and the network file.

    Raises:
        ConfigurationError: a founder has not signed yet.
    """
    body = proposal["body"]
    sealing = next(card for card in body["members"] if "sequencer" in card["roles"])
    if bytes.fromhex(_use(sealing, "node")["public"]) != key.public.raw:
        raise ConfigurationError(f"only the sequencer seals a network: run this at {sealing['id']}'s home")
    signers = {item["key"] for item in proposal["sigs"]}
    missing = [
        str(card["id"])
        for card in body["members"]
        if PublicKey("ed25519", bytes.fromhex(_use(card, "node")["public"])).id not in signers
    ]
    if missing:
        raise ConfigurationError(
            f"the proposal lacks the signature of {', '.join(missing)}: `hedui network sign`"
        )
    draft = entries.draft(proposal["network"], "network.genesis", GENESIS, time, body)
    further = [Signature(item["key"], item["alg"], item["sig"]) for item in proposal["sigs"]]
    leaf = entries.signed(draft, key, further).leaf()
    sequencer = next(card for card in body["members"] if "sequencer" in card["roles"])
    contact = Contact(sequencer["id"], sequencer["endpoint"], bytes.fromhex(sequencer["tls"]))
    digest = hashlib.sha256(leaf).digest()
    return leaf, NetworkFile(proposal["network"], digest, policy_of(body["members"], body["params"]), contact)


def policy_of(cards: list[dict[str, Any]], params: Mapping[str, Any]) -> Policy:
    """The trust policy of a new network: the sequencer's log key, and every other member as a witness.

    Raises:
        LedgerError: two keys or names are the same, or a foreign witness that cannot be used.
    """
    logs = [_verifier(_use(card, "log"), TYPE_ED25519) for card in cards if "sequencer" in card["roles"]]
    witnesses = [
        _verifier(_use(card, "witness"), TYPE_COSIGNATURE)
        for card in cards
        if "sequencer" not in card["roles"]
    ]
    return Policy.create(logs[0], witnesses, _foreign_witnesses(params))


def _foreign_parameters(foreign: Sequence[str]) -> dict[str, str]:
    """Genesis parameters that name foreign witnesses."""
    if len(foreign) > MAX_FOREIGN:
        raise ConfigurationError(f"a network names at most {MAX_FOREIGN} foreign witnesses")
    params: dict[str, str] = {}
    for number, text in enumerate(foreign, 1):
        vkey, scheme, rest = text.partition("@http")
        url = scheme.removeprefix("@") + rest
        try:
            VerifierKey.parse(vkey)
            check_url(url)
        except LedgerError as error:
            raise ConfigurationError(f"a foreign witness is VKEY@URL: {error}") from error
        if max(len(vkey), len(url)) > PARAMETER_CHARACTERS:
            raise ConfigurationError(
                f"a foreign witness's vkey and URL have at most {PARAMETER_CHARACTERS} characters each"
            )
        params |= {f"witness_{number}": vkey, f"witness_{number}_url": url}
    return params


def _foreign_witnesses(params: Mapping[str, Any]) -> list[WitnessKey]:
    """The foreign witnesses that genesis parameters name."""
    found: list[WitnessKey] = []
    while (vkey := params.get(f"witness_{len(found) + 1}")) is not None:
        url = params.get(f"witness_{len(found) + 1}_url")
        if not isinstance(vkey, str) or not isinstance(url, str):
            raise NoteError("a foreign witness in genesis has a vkey and a URL, both texts")
        check_url(url)
        key = VerifierKey.parse(vkey)
        found.append(WitnessKey(key.name, key, url))
    return found


def join(home: Home, network: NetworkFile, genesis: bytes | None = None) -> None:
    """Write a network's file into a home; the sequencer's home also gets the genesis leaf.

    Raises:
        ConfigurationError: the home belongs to another network already.
    """
    if home.network.exists() and NetworkFile.read(home.network).genesis != network.genesis:
        raise ConfigurationError(f"{home.root} belongs to another network: use a new home")
    write_file(home.network, network.format())
    if genesis is not None:
        write_file(home.root / "genesis.leaf", genesis)


def genesis_contacts(leaf: bytes) -> list[Contact]:
    """Contacts of the members in a genesis leaf, for the sequencer's first calls."""
    value = canonical.decode(leaf)
    assert isinstance(value, dict)
    body = value["body"]
    assert isinstance(body, dict)
    members: Any = body["members"]
    return [Contact(card["id"], card["endpoint"], bytes.fromhex(card["tls"])) for card in members]


def witness_names(cards: list[dict[str, Any]]) -> dict[str, str]:
    """Member id by witness name in the policy."""
    return {_use(card, "witness")["name"]: card["id"] for card in cards if "sequencer" not in card["roles"]}


def _use(card: dict[str, Any], use: str) -> dict[str, str]:
    """The key on a card that has this use."""
    found: dict[str, str] = next(key for key in card["keys"] if key["use"] == use)
    return found


def _verifier(key: dict[str, str], kind: int) -> VerifierKey:
    """A card's log or witness key in the form of the trust policy."""
    return VerifierKey(key["name"], kind, PublicKey(key["alg"], bytes.fromhex(key["public"])))
