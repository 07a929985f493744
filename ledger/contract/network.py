"""Rules of ``network.genesis`` and ``member.*``: who is in the network, with which roles and keys.

- Genesis comes first and once, with the id ``genesis``, submitted by the sequencer's node where there is one
  (a network ordered by Fabric has none) and signed by every founder. Its members start at version 1.
- ``member.admit`` takes in a new member, takes back a removed one, or replaces the record of a member (roles,
  keys, name, endpoint); each entry about a member carries a higher version than the one before.
- Roles: the pairs of ``SEPARATE_ROLES`` are on one member only in a pilot; one registrar and one sequencer a
  network; at least three members and one founder at all times.
- Keys: one node key; a witness key for everyone but the sequencer, who has a log key instead; at most one
  seal key (X25519, all others sign); operators as many as there are people. Witness and log keys have names,
  unique in the network. A key id belongs to one member and one use for ever: a key once retired never comes
  back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Any

from keys.errors import KeysError
from keys.signing import PublicKey
from ledger.contract.context import Context, require
from ledger.contract.records import Member, MemberKey, Network
from ledger.contract.view import View, member_from
from ledger.entries.entry import Entry
from ledger.errors import EntryRefusedError

LEAST_MEMBERS = 3
"""Two witnesses are the smallest quorum, and the sequencer is none."""

SEPARATE_ROLES: tuple[tuple[str, str], ...] = (
    ("office", "registrar"),
    ("office", "trustee"),
    ("office", "department"),
    ("office", "auditor"),
    ("registrar", "department"),
    ("registrar", "trustee"),
    ("department", "auditor"),
    ("department", "trustee"),
    ("sequencer", "office"),
)
"""Roles that one member holds together only in a pilot: together they could answer, certify, open or audit
their own questions."""

_SEAL_ALG = "x25519"
_KEY_ID_BYTES = 16


def key_id(alg: str, raw: bytes) -> str:
    """Hex of SHA-256(alg ‖ 0x00 ‖ raw public key)[:16], for signing and seal keys alike."""
    return hashlib.sha256(alg.encode("ascii") + b"\x00" + raw).digest()[:_KEY_ID_BYTES].hex()


def founding_network(entry: Entry) -> Network:
    """The network that a genesis entry founds."""
    body = entry.body
    return Network(entry.network, body["pilot"], body["epoch"], body["params"])


def founding_signers(entry: Entry) -> dict[str, tuple[Member, MemberKey]]:
    """Members and keys of a genesis entry by key id: they vouch for themselves."""
    members = [member_from(_member_record(member, 1, founder=True)) for member in entry.body["members"]]
    return {key.id: (member, key) for member in members for key in member.keys}


def genesis(ctx: Context) -> None:
    """Fix the network, its founders and parameters."""
    body = ctx.body
    require(ctx.entry.id == "genesis", "genesis_id", "the first entry of a network has the id genesis")
    ids = [member["id"] for member in body["members"]]
    require(len(set(ids)) == len(ids), "member_exists", "name each founder once")
    has_sequencer = any("sequencer" in member["roles"] for member in body["members"])
    submits = "sequencer" in ctx.submitter.roles or not has_sequencer
    require(submits, "role_missing", "the sequencer's node submits the genesis entry")
    ctx.state.put(
        "network",
        {
            "network": ctx.entry.network,
            "pilot": body["pilot"],
            "epoch": body["epoch"],
            "params": body["params"],
        },
    )
    for member in body["members"]:
        _write_member(ctx, member, 1, founder=True)
    _check_network(ctx.view)


def admit(ctx: Context) -> None:
    """Admit a new member, admit a removed one again, or replace a member's record."""
    member, version = ctx.body["member"], ctx.body["version"]
    before = ctx.view.member(member["id"])
    if before is not None:
        _check_version(before, version)
    _write_member(ctx, member, version, founder=before is not None and before.founder)
    _check_network(ctx.view)


def remove(ctx: Context) -> None:
    """End a membership; the member's keys are retired with it."""
    before = _present(ctx.view, ctx.body["member"])
    _check_version(before, ctx.body["version"])
    value = dict(ctx.state.get(f"member/{before.id}"))
    _retire_keys(ctx, before, set())
    value.update(keys=[], version=ctx.body["version"], founder=False, active=False)
    ctx.state.put(f"member/{before.id}", value)
    require(
        len(ctx.view.founders()) > 0,
        "last_founder",
        "the last founder stays: nobody else could admit members",
    )
    _check_network(ctx.view)


def replace_keys(ctx: Context) -> None:
    """Give a member a new set of keys; those not in it are retired."""
    before = _present(ctx.view, ctx.body["member"])
    _check_version(before, ctx.body["version"])
    value = dict(ctx.state.get(f"member/{before.id}"))
    value.update(keys=_with_ids(ctx.body["keys"]), version=ctx.body["version"])
    _check_keys(value)
    _register_keys(ctx, before.id, value["keys"])
    ctx.state.put(f"member/{before.id}", value)
    _check_network(ctx.view)


def move_endpoint(ctx: Context) -> None:
    """Record the member's own new address."""
    before = _present(ctx.view, ctx.body["member"])
    require(ctx.submitter.id == before.id, "not_the_member", "a member changes its endpoint itself")
    _check_version(before, ctx.body["version"])
    value = dict(ctx.state.get(f"member/{before.id}"))
    value.update(endpoint=ctx.body["endpoint"], version=ctx.body["version"])
    ctx.state.put(f"member/{before.id}", value)


def _present(view: View, member: str) -> Member:
    found = view.member(member)
    if found is None or not found.active:
        raise EntryRefusedError("member_unknown", "name a member of this network")
    return found


def _check_version(before: Member, version: int) -> None:
    higher = version > before.version
    require(higher, "version_not_higher", f"use a version above {before.version}: another entry came first")


def _with_ids(keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**key, "id": key_id(key["alg"], bytes.fromhex(key["public"]))} for key in keys]


def _member_record(member: dict[str, Any], version: int, *, founder: bool) -> dict[str, Any]:
    keys = _with_ids(member["keys"])
    return {**member, "keys": keys, "version": version, "founder": founder, "active": True}


def _write_member(ctx: Context, member: dict[str, Any], version: int, *, founder: bool) -> None:
    value = _member_record(member, version, founder=founder)
    _check_roles(value["roles"], ctx.network.pilot)
    _check_keys(value)
    _register_keys(ctx, member["id"], value["keys"])
    ctx.state.put(f"member/{member['id']}", value)
    known = ctx.state.get("members") or []
    if member["id"] not in known:
        ctx.state.put("members", sorted([*known, member["id"]]))


def conflicting_roles(roles: Collection[str]) -> tuple[str, str] | None:
    """The first pair of ``SEPARATE_ROLES`` that a member with these roles would hold, or None."""
    return next((pair for pair in SEPARATE_ROLES if pair[0] in roles and pair[1] in roles), None)


def _check_roles(roles: list[str], pilot: bool) -> None:
    conflict = None if pilot else conflicting_roles(roles)
    if conflict is not None:
        raise EntryRefusedError(
            "role_conflict",
            f"{conflict[0]} and {conflict[1]} may be one member only in a pilot: give one role to another",
        )


def _check_keys(value: dict[str, Any]) -> None:
    """One node key, a witness or a log key with a name, at most one seal key; every key well-formed."""
    uses = [key["use"] for key in value["keys"]]
    log = 1 if "sequencer" in value["roles"] else 0
    counts = (uses.count("node"), uses.count("log"), uses.count("witness"), uses.count("seal") > 1)
    require(
        counts == (1, log, 1 - log, False),
        "member_keys",
        "give one node key, one witness key (the sequencer: a log key instead) and at most one seal key",
    )
    for key in value["keys"]:
        named = "name" in key or key["use"] not in ("witness", "log")
        require(named, "member_keys", "a witness or log key carries the name of its vkey")
        _check_key(key)


def _check_key(key: dict[str, Any]) -> None:
    require(
        (key["use"] == "seal") == (key["alg"] == _SEAL_ALG), "member_keys", "x25519 is for seal keys only"
    )
    if key["use"] == "seal":
        return
    try:
        PublicKey(key["alg"], bytes.fromhex(key["public"]))
    except KeysError as error:
        raise EntryRefusedError(
            "malformed_key", "a public key is no valid key of its algorithm: make a new one"
        ) from error


def _register_keys(ctx: Context, member: str, keys: list[dict[str, Any]]) -> None:
    ids = {key["id"] for key in keys}
    require(len(ids) == len(keys), "key_taken", "use a different key for every use")
    for key in keys:
        mark = {"member": member, "use": key["use"], "active": True}
        before = ctx.state.get(f"key/{key['id']}")
        require(
            before in (None, mark), "key_taken", "make a new key: this one is or was another's, or retired"
        )
        ctx.state.put(f"key/{key['id']}", mark)
    old = ctx.view.member(member)
    if old is not None:
        _retire_keys(ctx, old, ids)


def _retire_keys(ctx: Context, member: Member, kept: set[str]) -> None:
    for key in member.keys:
        if key.id not in kept:
            ctx.state.put(f"key/{key.id}", {"member": member.id, "use": key.use, "active": False})


def _check_network(view: View) -> None:
    members = view.members()
    require(
        len(members) >= LEAST_MEMBERS, "too_few_members", f"a network has at least {LEAST_MEMBERS} members"
    )
    registrars = sum(1 for member in members if "registrar" in member.roles)
    require(registrars <= 1, "second_registrar", "a network has one registrar: remove the other first")
    sequencers = sum(1 for member in members if "sequencer" in member.roles)
    require(sequencers <= 1, "second_sequencer", "a network has one sequencer: remove the other first")
    names = [key.name for member in members for key in member.keys if key.use in ("witness", "log")]
    require(
        len(set(names)) == len(names), "key_name_taken", "give each witness and log key a name of its own"
    )
