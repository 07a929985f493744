"""Cases of refused entries: genesis and members."""

from __future__ import annotations

from ledger.contract.network import SEPARATE_ROLES
from ledger.entries import bodies
from ledger.entries.entry import Body, Entry
from tests.ledger.contract.contract_cases import (
    NETWORK,
    Net,
    digest,
    empty,
    founded,
    genesis_body,
    key_objects,
    member_object,
    signer,
)
from tests.ledger.contract.refusal_cases import case, simple

# Members.


def admission(code: str, name: str, member: Body, version: int = 1) -> None:
    """Add a case of an admission with enough founders."""
    body = bodies.member_admit(member, version)
    simple(code, name, founded, "member.admit", "audit", body, Net().founders())


def keyed(*keys: Body) -> Body:
    return {**member_object("sib", ["department"]), "keys": list(keys)}


NODE, OPERATOR, _OTHER, WITNESS, SEAL = key_objects("sib")
for _pair in SEPARATE_ROLES:
    if "sequencer" not in _pair:
        admission("role_conflict", " and ".join(_pair), member_object("sib", list(_pair)))
admission(
    "role_conflict", "office and registrar, replaced", member_object("office", ["office", "registrar"]), 2
)
admission("second_registrar", "two registrars", member_object("sib", ["registrar"]))
admission("second_sequencer", "two sequencers", member_object("sib", ["sequencer"]))
admission("member_keys", "no node key", keyed(OPERATOR, WITNESS))
admission("member_keys", "two node keys", keyed(NODE, {**OPERATOR, "use": "node"}, WITNESS))
admission("member_keys", "no witness key", keyed(NODE, OPERATOR))
admission(
    "member_keys", "a log key without the role", keyed(NODE, WITNESS, {**OPERATOR, "use": "log", "name": "x"})
)
admission(
    "member_keys",
    "a witness key without a name",
    keyed(NODE, {k: v for k, v in WITNESS.items() if k != "name"}),
)
admission("member_keys", "two seal keys", keyed(NODE, WITNESS, SEAL, {**SEAL, "public": digest(9)}))
admission("member_keys", "a node key that only seals", keyed({**NODE, "alg": "x25519"}, WITNESS))
admission("member_keys", "a seal key that signs", keyed(NODE, WITNESS, {**SEAL, "alg": "ed25519"}))
admission(
    "malformed_key", "a key of small order", keyed(NODE, WITNESS, {**OPERATOR, "public": "01" + "00" * 31})
)
admission(
    "malformed_key", "a key that is not canonical", keyed(NODE, WITNESS, {**OPERATOR, "public": "ff" * 32})
)
admission("key_taken", "one key for two uses", keyed(NODE, {**WITNESS, "public": NODE["public"]}))
admission("key_taken", "one operator listed twice", keyed(NODE, WITNESS, OPERATOR, OPERATOR))
admission("key_taken", "another member's key", keyed(NODE, WITNESS, key_objects("tax")[1]))
admission("key_name_taken", "another witness's name", keyed(NODE, {**WITNESS, "name": f"{NETWORK}/tax"}))
admission("version_not_higher", "the version before", member_object("tax", ["department"]))


def about_members(code: str, name: str, type: str, body: Body) -> None:
    simple(code, name, founded, type, "audit", body, Net().founders())


about_members("version_not_higher", "removal", "member.remove", bodies.member_remove("tax", 1, "x"))
about_members("version_not_higher", "keys", "member.key", bodies.member_key("tax", 1, key_objects("tax", 1)))
about_members("member_unknown", "removal of a stranger", "member.remove", bodies.member_remove("sib", 1, "x"))
about_members(
    "member_unknown", "keys of a stranger", "member.key", bodies.member_key("sib", 1, key_objects("sib"))
)
about_members(
    "member_keys",
    "keys without a node key",
    "member.key",
    bodies.member_key("tax", 2, key_objects("tax", 1)[1:]),
)
simple(
    "not_the_member",
    "another's endpoint",
    founded,
    "member.endpoint",
    "tax",
    bodies.member_endpoint("office", 2, "x:1"),
)
simple(
    "version_not_higher",
    "endpoint",
    founded,
    "member.endpoint",
    "tax",
    bodies.member_endpoint("tax", 1, "x:1"),
)


@case("key_taken", "a retired key comes back")
def _key_back() -> tuple[Net, Entry]:
    net = founded()
    net.do("member.key", "audit", bodies.member_key("tax", 2, key_objects("tax", 1)), net.founders())
    body = bodies.member_key("tax", 3, key_objects("tax"))
    return net, net.entry("member.key", "audit", body, net.founders())


@case("key_taken", "a key changes its use")
def _key_use() -> tuple[Net, Entry]:
    net = founded()
    keys = key_objects("tax")
    keys[0], keys[1] = {**keys[1], "use": "node"}, {**keys[0], "use": "operator"}
    return net, net.entry("member.key", "audit", bodies.member_key("tax", 2, keys), net.founders())


THREE = {"seq": ("sequencer",), "office": ("office",), "desk": ("registrar",)}


def founding(code: str, name: str, body: Body, id: str = "genesis") -> None:
    ids = dict.fromkeys(member["id"] for member in body["members"])
    simple(code, name, empty, "network.genesis", "seq", body, [signer(member) for member in ids], id=id)


founding("genesis_id", "another id", genesis_body(), "first")
founding("too_few_members", "two members", genesis_body({"seq": ("sequencer",), "office": ("office",)}))
founding("role_conflict", "genesis of no pilot", genesis_body({**THREE, "a": ("office", "trustee")}))
founding("role_conflict", "a sequencer that asks", genesis_body({**THREE, "seq": ("sequencer", "office")}))
TWICE = genesis_body(THREE)
TWICE["members"].append(member_object("office", ["office"]))
founding("member_exists", "a founder named twice", TWICE)


@case("too_few_members", "a removal from three")
def _remove_from_three() -> tuple[Net, Entry]:
    net = empty().genesis(genesis_body(THREE))
    body = bodies.member_remove("office", 2, "x")
    return net, net.entry("member.remove", "seq", body, [signer("seq"), signer("desk")])


@case("last_founder", "removal of the last founder")
def _last_founder() -> tuple[Net, Entry]:
    net = empty().genesis(genesis_body(THREE))
    for name in ("a", "b", "c"):
        body = bodies.member_admit(member_object(name, ["auditor"]), 1)
        net.do("member.admit", "seq", body, [signer("seq"), signer("desk")])
    both = [signer("seq"), signer("desk")]
    net.do("member.remove", "seq", bodies.member_remove("office", 2, "x"), both)
    net.do("member.remove", "seq", bodies.member_remove("desk", 2, "x"), both)
    return net, net.entry("member.remove", "a", bodies.member_remove("seq", 2, "x"), [signer("seq")])
