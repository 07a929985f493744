"""Which ledger entries a report carries, so that a verifier can replay them through the contract.

    always               genesis, every member.* entry, the rules and their approvals
    certified datasets   dataset.publish, dataset.verified by the office and by the auditor that counts,
                         grant.request and grant.decide of the grants used
    once asked           query.intent, query.answer of every answered dataset, sumkey.publish for a total,
                         share.release and share.exception

Replayed in their order they prove signatures, roles, grants and slots of what they say. What is *not* there
they cannot prove: that no other entry revoked something is for the whole replay of auditors, and of the
departments and the trustee before they answered.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ledger.replica import Replica
from ledger.view import View
from node.errors import ServiceUnavailable
from node.finished import Finished

MEMBER_TYPES = ("member.admit", "member.remove", "member.key", "member.endpoint")


def is_complete(view: View, finished: Finished) -> bool:
    """Whether everything that arrives after the fact is on the replica: answers, and releases of a total."""
    query = finished.inquiry.query
    for dataset in finished.answers:
        recorded = view.answer(query, dataset)
        if recorded is None or not recorded.answered:
            return False
    if finished.total is None:
        return True
    trustees = [share["holder"] for share in finished.total.shares if "salt" in share]
    return all(view.release(query, 0, trustee) is not None for trustee in trustees)


def needed_entries(replica: Replica, view: View, office: str, finished: Finished) -> set[int]:
    """Indices of the entries a report of this check carries.

    Raises:
        ServiceUnavailable: one of them is not on this replica.
    """
    indices = {0}
    for kind in MEMBER_TYPES:
        indices.update(index for index, _ in replica.of_type(kind))
    for record in _records(replica, view, office, finished):
        if record is None:
            raise ServiceUnavailable(
                "the replica lacks an entry of this check: let it catch up with the ledger"
            )
        index = replica.find(str(record["entry"]))
        if index is None:
            raise ServiceUnavailable(
                "the replica lacks an entry of this check: let it catch up with the ledger"
            )
        indices.add(index)
    clock = _clock_entry(replica, finished.inquiry.query)
    return indices if clock is None else indices | {clock}


def _clock_entry(replica: Replica, query: str) -> int | None:
    """The entry that set the contract's time of the intent, where another ran ahead of the intent's own.

    Without it a replay of the subset could place an intent at a month's end in another period.
    """
    record: Any = replica.state.get(f"intent/{query}")
    index = replica.find(query)
    if record is None or index is None or replica.entry(index).time == record["at"]:
        return None
    for earlier in range(index - 1, -1, -1):
        if not replica.is_void(earlier) and replica.entry(earlier).time == record["at"]:
            return earlier
    return None


def _records(replica: Replica, view: View, office: str, finished: Finished) -> Iterator[Any]:
    """State records of every entry needed; None where one that must be there is not."""
    state, rules = replica.state, finished.rules
    where = f"{rules.id}/{rules.version}"
    yield state.get(f"rules/{where}")
    for member in view.approvals(rules.id, rules.version):
        yield state.get(f"approval/{where}/{member}")
    if finished.refusal is not None:
        return
    certificate = finished.inquiry.certificate
    for item in certificate["datasets"]:
        place, grant = f"{item['dataset']}/{item['publication']}", item["grant"]
        yield state.get(f"publication/{place}")
        yield state.get(f"verified/{place}/{office}")
        audited = state.get(f"audited/{place}")
        yield None if audited is None else state.get(f"verified/{place}/{audited['member']}")
        yield state.get(f"grant/{grant}")
        yield state.get(f"grant-decision/{grant}")
    if certificate["datasets"]:
        yield from _question(replica, view, certificate)


def _question(replica: Replica, view: View, certificate: dict[str, Any]) -> Iterator[Any]:
    """Records of the intent and of what followed it."""
    state, query = replica.state, certificate["query"]
    if certificate["protocol"] == "sum" and view.sumkey() is not None:
        yield state.get("sumkey")
    yield state.get(f"intent/{query}")
    for dataset in view.answers(query):
        yield state.get(f"answer/{query}/{dataset}")
    for release in view.releases(query, 0):
        yield state.get(f"release/{query}/0/{release.trustee}")
    for exception in view.exceptions(query, 0):
        yield state.get(f"exception/{query}/0/{exception.trustee}")
