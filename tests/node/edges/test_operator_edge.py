"""The operator's service over the wire: it serves the member's own people and calls the roles' jobs."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any, cast

import grpc
import pytest

from ledger import canonical
from node.department.publish import Publisher
from node.edges.operator import OperatorEdge
from node.errors import RefusalError
from node.governance.entry_drafts import sign_draft
from node.governance.grants import REVEALED, Decision, GrantDecision, GrantRequest
from node.member_keys import sign
from node.monitoring.health import LedgerHealth, node_health
from node.registrar.recent_subjects import QuestionAllowance
from node.rpc.status import raise_from_wire
from node.wire import operator_pb2, operator_pb2_grpc
from tests.node.network_in_memory import NETWORK, RULES, Network, shared, stranger

HEALTH = LedgerHealth("final", 3)
STATUS_FIELDS = {
    "member",
    "roles",
    "network",
    "replayed",
    "ledger",
    "final_age",
    "healthy",
    "cosigned",
    "quorum",
    "waiting",
    "evidence",
    "restored",
    "spent",
    "published",
    "missing_sets",
    "sumkey",
    "datasets",
}


@pytest.fixture(scope="module")
def net() -> Network:
    """A network whose members all serve their operators."""
    made = shared("operator edge")
    for member, services in made.services.items():
        port: Any = made.wire.ports[member]
        edge = OperatorEdge(services.peers, services, Publisher(services), made.office, lambda: HEALTH)
        operator_pb2_grpc.add_OperatorServicer_to_server(edge, port)
    return made


def call(net: Network, member: str, method: str, request: Any, caller: str = "") -> Any:
    """One call of a member's operator, or of another member's; streams come as their last message.

    Raises:
        RefusalError: as the caller sees it.
    """
    channel = net.services[caller or member].channels.to(member)
    try:
        answer = getattr(operator_pb2_grpc.OperatorStub(channel), method)(request)
        return answer if hasattr(answer, "DESCRIPTOR") else list(answer)[-1]
    except grpc.RpcError as error:
        raise_from_wire(error, member)


def result(answer: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(answer.result))


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("Status", operator_pb2.StatusRequest()),
        ("Submit", operator_pb2.SubmitRequest(type="incident", body=b"{}")),
        ("Publish", operator_pb2.PublishRequest()),
        ("Verify", operator_pb2.VerifyRequest()),
        ("Retire", operator_pb2.RetireRequest()),
        ("LoadConsents", operator_pb2.LoadConsentsRequest()),
        ("WithdrawConsent", operator_pb2.WithdrawConsentRequest()),
        ("AllowQuestion", operator_pb2.AllowQuestionRequest()),
        ("Rules", operator_pb2.RulesRequest()),
        ("RequestGrant", operator_pb2.GrantRequest()),
        ("Check", operator_pb2.CheckRequest()),
    ],
)
def test_another_member_is_no_operator(net: Network, method: str, request_: Any) -> None:
    with pytest.raises(RefusalError) as caught:
        call(net, "desk", method, request_, caller="office")
    assert caught.value.code == "not_an_operator"


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("Verify", operator_pb2.VerifyRequest()),
        ("Retire", operator_pb2.RetireRequest(dataset="tax.owner", publication="2026-11.1")),
        ("LoadConsents", operator_pb2.LoadConsentsRequest(folder="/nonexistent")),
        ("WithdrawConsent", operator_pb2.WithdrawConsentRequest(case_number="1", identifier=stranger(1))),
        (
            "AllowQuestion",
            operator_pb2.AllowQuestionRequest(document=b'{"case":"1","month":"2026-11","reason":"x"}'),
        ),
    ],
)
def test_a_node_without_the_role_refuses(net: Network, method: str, request_: Any) -> None:
    with pytest.raises(RefusalError) as caught:
        call(net, "trust", method, request_)
    assert caught.value.code == "role"


def test_status_is_the_health_of_the_node(net: Network) -> None:
    for member, services in net.services.items():
        found = json.loads(call(net, member, "Status", operator_pb2.StatusRequest()).status)
        assert found.keys() == STATUS_FIELDS
        expected = node_health(services, HEALTH).to_json()
        assert {**found, "spent": None} == {**expected, "spent": None}
        assert (found["member"], found["ledger"], found["final_age"]) == (member, "final", 3)
        assert found["healthy"]
    tax = json.loads(call(net, "tax", "Status", operator_pb2.StatusRequest()).status)
    assert tax["published"] == ["tax.income/2026-11.1", "tax.owner/2026-11.1"]


def test_an_operator_has_to_act_when_files_of_a_set_are_missing(net: Network) -> None:
    services = net.services["hib"]
    folder = services.publication_folder("hib.selfpaid", "2026-11.1")
    away = folder.rename(folder.with_name("away"))
    try:
        health = node_health(services, HEALTH)
        assert health.missing_sets == ("hib.selfpaid/2026-11.1",)
        assert not health.healthy
    finally:
        away.rename(folder)
    assert node_health(services, HEALTH).healthy
    assert not node_health(services, LedgerHealth("quarantine: x", None, quarantined=True)).healthy


def application(folder: Path, case: str, *ids: str, consent: str = "signed") -> Path:
    """A folder with one application file."""
    persons = [
        {"name": "王甲", "id": text, "relation": "self", "consent": consent, "region": "331022"}
        for text in ids
    ]
    value = {
        "case": case,
        "rules": "dibao@2026.1",
        "applied": "2026-11-02",
        "office": "office",
        "household": persons,
    }
    (folder / f"{case}.json").write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    return folder


def test_consents_are_loaded_once_allowed_again_and_withdrawn(net: Network, tmp_path: Path) -> None:
    desk, case = net.services["desk"], secrets.token_hex(6)
    folder = application(tmp_path, case, stranger(810), stranger(811))
    load = operator_pb2.LoadConsentsRequest(folder=str(folder))
    assert result(call(net, "desk", "LoadConsents", load)) == {"committed": 2}
    assert result(call(net, "desk", "LoadConsents", load)) == {"committed": 0}
    allowance = QuestionAllowance(case=case, month=desk.month(), reason="remarried")
    keys = net.people("desk")
    signed = [canonical.encode(sign(key, allowance.message()).to_json()) for key in keys]
    request = operator_pb2.AllowQuestionRequest(
        document=canonical.encode(allowance.to_json()), signatures=signed
    )
    assert call(net, "desk", "AllowQuestion", request).stage == "consents"
    bad = operator_pb2.AllowQuestionRequest(document=b'{"case":"1","month":"2026-11"}', signatures=signed)
    with pytest.raises(RefusalError) as caught:
        call(net, "desk", "AllowQuestion", bad)
    assert caught.value.code == "malformed"
    request = operator_pb2.WithdrawConsentRequest(case_number=case, identifier=stranger(810))
    call(net, "desk", "WithdrawConsent", request)
    with pytest.raises(RefusalError) as caught:
        call(net, "desk", "WithdrawConsent", request)
    assert caught.value.code == "no_consent"


def test_rules_are_published_and_approved(net: Network) -> None:
    text = RULES.replace(b'"dibao"\nversion', f'"r{secrets.token_hex(4)}"\nversion'.encode())
    published = result(call(net, "office", "Rules", operator_pb2.RulesRequest(text=text, action="publish")))
    approve = operator_pb2.RulesRequest(text=text, action="approve")
    assert result(call(net, "tax", "Rules", approve)) == published
    assert published.keys() == {"rules", "digest"}


def test_a_grant_is_requested_and_decided_over_the_wire(net: Network) -> None:
    asked = GrantRequest(
        owner="police",
        datasets=("police.custody",),
        protocol="check",
        reveal=REVEALED["check"],
        purpose="dibao",
        basis="basis",
        first="2026-11-01",
        last="2027-10-31",
        period="day",
        slots=5,
        elements=8,
        min_terms=0,
    )
    request = operator_pb2.GrantRequest(options=canonical.encode(asked.to_json()))
    grant = result(call(net, "office", "RequestGrant", request))["grant"]
    draft = GrantDecision(grant, Decision.APPROVE).draft()
    signatures = sign_draft(draft, NETWORK, net.people("police"))
    submit = operator_pb2.SubmitRequest(
        type=draft.type,
        id=draft.id,
        body=canonical.encode(draft.body),
        signatures=canonical.encode([item.to_json() for item in signatures]),
    )
    first = call(net, "police", "Submit", submit)
    assert first.id == draft.id
    assert call(net, "police", "Submit", submit).id == draft.id, "again after a lost answer"
    assert net.services["police"].view.is_active(grant, net.time())


def test_a_dataset_is_published_with_progress(net: Network, tmp_path: Path) -> None:
    name = f"police.d{secrets.token_hex(6)}"
    (tmp_path / "rows.csv").write_text(f"id\n{stranger(820)}\n")
    value = {
        "id": name,
        "kind": "member",
        "source": "csv:rows.csv",
        "identifier": "id",
        "as_of": "2026-10-31",
    }
    request = operator_pb2.PublishRequest(
        dataset=canonical.encode(value), folder=str(tmp_path), epoch="2026-11"
    )
    channel = net.services["police"].channels.to("police")
    messages = list(operator_pb2_grpc.OperatorStub(channel).Publish(request))
    assert [message.stage for message in messages] == ["publishing", "done"]
    done = result(messages[-1])
    assert done.keys() == {"publication", "quality", "count", "root"}
    assert done["publication"] == "2026-11.1"
    found = net.services["police"].view.publication(name, "2026-11.1")
    assert found is not None
    assert (found.root, found.count) == (done["root"], done["count"])
