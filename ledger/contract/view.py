"""Typed reading of the contract's state.

A ``View`` stands over any ``State`` (a replica's table, a dict, an overlay of the running entry) and answers
the questions the contract, the nodes and the verifier ask. It never writes and reads no clock: where time
matters it is an argument, and the answer holds for that moment.

*Current* for an office: the publication of a dataset published last among those that the office and an
auditor have both verified and the owner has not retired.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ledger.contract.records import (
    AnswerRecord,
    Close,
    Grant,
    Intent,
    IntentDataset,
    Member,
    MemberKey,
    Network,
    Publication,
    Release,
    Rules,
    Slot,
    SumKeyRecord,
)
from ledger.contract.state import State
from ledger.entries.entry import Signature
from ledger.entries.times import local_date

T = TypeVar("T")
_REMEMBERED = 1024


class Remembered:
    """A cache of records by the identity of the values they were made of, shared by views over one state.

    A value of a state is never changed in place, so one value always gives one record. It is held here as
    long as its record is: no other value can take its identity meanwhile. One thread at a time.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[object, ...], tuple[Any, Any]] = {}

    def record(self, make: Callable[..., T], value: Any, *more: str) -> T:
        """``make(value, *more)``, made once."""
        key = (id(value), *more)
        found = self._made.get(key)
        if found is not None:
            known: T = found[1]
            return known
        if len(self._made) >= _REMEMBERED:
            self._made.clear()
        made = make(value, *more)
        self._made[key] = (value, made)
        return made


def dataset_owner(dataset: str) -> str:
    """Member id of a dataset's owner: the part before the dot."""
    return dataset.partition(".")[0]


class View:
    """Reads over one state; cheap to make, keeps nothing itself."""

    def __init__(self, state: State, remembered: Remembered | None = None) -> None:
        """Args: ``remembered`` is shared by the views of one state."""
        self._state = state
        self._remembered = remembered

    def _made(self, make: Callable[..., T], value: Any, *more: str) -> T:
        if self._remembered is None:
            return make(value, *more)
        return self._remembered.record(make, value, *more)

    # The network and its members.

    def network(self) -> Network | None:
        """The network as its genesis fixed it, or None before the genesis."""
        value = self._state.get("network")
        return None if value is None else self._made(_network, value)

    def used(self, id: str) -> bool:
        """Whether an accepted entry had this id."""
        return self._state.get(f"id/{id}") is not None

    def member(self, member: str) -> Member | None:
        """A member, active or removed, or None."""
        value = self._state.get(f"member/{member}")
        return None if value is None else self._made(member_from, value)

    def members(self, role: str | None = None) -> tuple[Member, ...]:
        """Active members, those with ``role`` if one is given, sorted by id."""
        found = (self.member(id) for id in self._state.get("members") or [])
        return tuple(m for m in found if m is not None and m.active and (role is None or role in m.roles))

    def member_by_key(self, key: str) -> tuple[Member, MemberKey] | None:
        """The active member and its active key with this id, or None."""
        value = self._state.get(f"key/{key}")
        if value is None or not value["active"]:
            return None
        member = self.member(value["member"])
        if member is None or not member.active:
            return None
        return next(((member, each) for each in member.keys if each.id == key), None)

    def witnesses(self) -> tuple[tuple[Member, MemberKey], ...]:
        """Active members with their witness keys: those whose cosignatures make the quorum."""
        pairs = ((member, member.key_for("witness")) for member in self.members())
        return tuple((member, key) for member, key in pairs if key is not None)

    def founders(self) -> tuple[Member, ...]:
        """Founders that are still members."""
        return tuple(member for member in self.members() if member.founder)

    # Publications.

    def datasets(self) -> tuple[str, ...]:
        """Every dataset ever published, sorted."""
        return tuple(self._state.get("datasets") or [])

    def kind(self, dataset: str) -> str | None:
        """``member`` or ``amount``, fixed by the first publication; None when never published."""
        value = self._state.get(f"dataset/{dataset}")
        return None if value is None else str(value["kind"])

    def labels(self, dataset: str) -> tuple[str, ...]:
        """Publication labels of a dataset in the order of publishing."""
        value = self._state.get(f"dataset/{dataset}")
        return () if value is None else tuple(value["publications"])

    def publication(self, dataset: str, label: str) -> Publication | None:
        """One publication, retired or not, or None."""
        value = self._state.get(f"publication/{dataset}/{label}")
        return None if value is None else self._made(_publication, value)

    def retired(self, dataset: str, label: str) -> bool:
        """Whether the owner retired the publication."""
        return self._state.get(f"retired/{dataset}/{label}") is not None

    def verified(self, dataset: str, label: str, member: str) -> bool:
        """Whether ``member`` recorded that it verified the publication."""
        return self._state.get(f"verified/{dataset}/{label}/{member}") is not None

    def audited(self, dataset: str, label: str) -> bool:
        """Whether an auditor verified the publication."""
        return self._state.get(f"audited/{dataset}/{label}") is not None

    def current(self, dataset: str, office: str) -> Publication | None:
        """The publication ``office`` must ask about now, or None."""
        label = self._current_label(dataset, office)
        return None if label is None else self.publication(dataset, label)

    def publications_for(self, office: str) -> tuple[Publication, ...]:
        """The current publication of every dataset that has one for ``office``, sorted by dataset."""
        found = (self.current(dataset, office) for dataset in self.datasets())
        return tuple(publication for publication in found if publication is not None)

    def definition(self, dataset: str, label: str) -> str | None:
        """Definition digest of a publication, or None when there is no such publication."""
        publication = self.publication(dataset, label)
        return None if publication is None else publication.definition

    def sumkey(self) -> SumKeyRecord | None:
        """The network's sum key, or None."""
        value = self._state.get("sumkey")
        if value is None:
            return None
        body = value["body"]
        lists = {"trustees": tuple(body["trustees"]), "proof": tuple(body["proof"])}
        return SumKeyRecord(**{**body, **lists}, entry=value["entry"])

    # Rules and grants.

    def rules(self, rules: str, version: str) -> Rules | None:
        """A published rule set, or None."""
        value = self._state.get(f"rules/{rules}/{version}")
        return None if value is None else self._made(_rules, value)

    def approved_by(self, rules: str, version: str, member: str) -> bool:
        """Whether ``member`` approved the rule set."""
        return self._state.get(f"approval/{rules}/{version}/{member}") is not None

    def approvals(self, rules: str, version: str) -> tuple[str, ...]:
        """Members, removed ones too, that approved the rule set, sorted."""
        return tuple(m for m in self._state.get("members") or [] if self.approved_by(rules, version, m))

    def is_approved(self, rules: str, version: str) -> bool:
        """Whether an auditor and every owner of an amount dataset who is a member now approved the rules."""
        found = self.rules(rules, version)
        if found is None or self._state.get(f"audit-approval/{rules}/{version}") is None:
            return False
        owners = {dataset_owner(dataset) for dataset in found.amounts}
        return all(
            self.approved_by(rules, version, owner) for owner in sorted(owners) if self._is_member(owner)
        )

    def grant(self, grant: str) -> Grant | None:
        """A grant in any status, or None."""
        value = self._state.get(f"grant/{grant}")
        return None if value is None else self._made(_grant, value, self._status(grant))

    def is_active(self, grant: str, now: str) -> bool:
        """Whether the grant is approved, not revoked, and the UTC+8 date of ``now`` is from–until."""
        found = self.grant(grant)
        return (
            found is not None and found.status == "approved" and found.first <= local_date(now) <= found.last
        )

    def grants_of(self, requester: str) -> tuple[Grant, ...]:
        """Every grant the office asked for, in order of request."""
        found = (self.grant(grant) for grant in self._state.get(f"grants/{requester}") or [])
        return tuple(grant for grant in found if grant is not None)

    def slot_taken(self, grant: str, period: str, slot: int) -> str | None:
        """Query id of the intent that holds the slot, or None while it is free."""
        value = self._state.get(f"slot/{grant}/{period}/{slot}")
        return None if value is None else str(value["query"])

    # Consents, queries and shares.

    def consent_live(self, commitment: str) -> bool:
        """Whether the consent was committed and not revoked."""
        known = self._state.get(f"consent/{commitment}") is not None
        return known and self._state.get(f"consent-revoked/{commitment}") is None

    def certificate_revoked(self, digest: str) -> bool:
        """Whether the registrar revoked the certificate with this digest."""
        return self._state.get(f"certificate-revoked/{digest}") is not None

    def intent(self, query: str) -> Intent | None:
        """The accepted intent of a query, or None."""
        value = self._state.get(f"intent/{query}")
        return None if value is None else self._made(_intent, value)

    def answer(self, query: str, dataset: str) -> AnswerRecord | None:
        """The department's last word on one dataset, or None."""
        value = self._state.get(f"answer/{query}/{dataset}")
        return None if value is None else AnswerRecord(**value["body"], at=value["at"], entry=value["entry"])

    def answers(self, query: str) -> dict[str, AnswerRecord]:
        """Answers given so far, by dataset; empty for an unknown query."""
        intent = self.intent(query)
        if intent is None:
            return {}
        found = {line.dataset: self.answer(query, line.dataset) for line in intent.datasets}
        return {dataset: answer for dataset, answer in found.items() if answer is not None}

    def closed(self, query: str) -> Close | None:
        """The office's close of the query, or None."""
        value = self._state.get(f"close/{query}")
        return None if value is None else Close(**value["body"], at=value["at"], entry=value["entry"])

    def release(self, query: str, case: int, trustee: str) -> Release | None:
        """One trustee's release for one case, or None."""
        return _release(self._state.get(f"release/{query}/{case}/{trustee}"))

    def releases(self, query: str, case: int) -> tuple[Release, ...]:
        """Every trustee's release for one case, sorted by trustee."""
        found = (self.release(query, case, member) for member in self._state.get("members") or [])
        return tuple(release for release in found if release is not None)

    def exception(self, query: str, case: int, trustee: str) -> Release | None:
        """One trustee's exception for one case, or None."""
        return _release(self._state.get(f"exception/{query}/{case}/{trustee}"))

    def exceptions(self, query: str, case: int) -> tuple[Release, ...]:
        """Every trustee's exception for one case, sorted by trustee."""
        found = (self.exception(query, case, member) for member in self._state.get("members") or [])
        return tuple(exception for exception in found if exception is not None)

    def _current_label(self, dataset: str, office: str) -> str | None:
        for label in reversed(self.labels(dataset)):
            verified = self.verified(dataset, label, office) and self.audited(dataset, label)
            if verified and not self.retired(dataset, label):
                return label
        return None

    def _is_member(self, member: str) -> bool:
        found = self.member(member)
        return found is not None and found.active

    def _status(self, grant: str) -> str:
        decided = self._state.get(f"grant-decision/{grant}")
        if decided is None:
            return "requested"
        if decided["body"]["decision"] == "reject":
            return "rejected"
        return "approved" if self._state.get(f"grant-revoked/{grant}") is None else "revoked"


def _network(value: dict[str, Any]) -> Network:
    return Network(**value)


def member_from(value: dict[str, Any]) -> Member:
    """A member from its state record."""
    keys = tuple(MemberKey(**key) for key in value["keys"])
    return Member(**{**value, "roles": tuple(value["roles"]), "keys": keys})


def _publication(value: dict[str, Any]) -> Publication:
    body = value["body"]
    coverage = body["coverage"]
    regions = coverage.get("regions")
    plain = ("dataset", "kind", "suite", "key", "root", "count", "as_of", "definition", "secrecy")
    return Publication(
        **{name: body[name] for name in plain},
        label=f"{body['epoch']}.{body['revision']}",
        title=coverage["title"],
        period=coverage.get("period"),
        regions=None if regions is None else tuple(regions),
        at=value["at"],
        entry=value["entry"],
    )


def _rules(value: dict[str, Any]) -> Rules:
    body = value["body"]
    lists = {name: tuple(body[name]) for name in ("income", "deduct", "veto", "exclude")}
    return Rules(**{**body, **lists}, office=value["by"], entry=value["entry"])


def _grant(value: dict[str, Any], status: str) -> Grant:
    body = value["body"]
    renamed = {"from": "first", "until": "last"}
    plain = {renamed.get(name, name): item for name, item in body.items() if name != "datasets"}
    definitions = {line["dataset"]: line["definition"] for line in body["datasets"]}
    return Grant(**plain, datasets=definitions, status=status, entry=value["entry"])


def _intent(value: dict[str, Any]) -> Intent:
    body = value["body"]
    certificate = body["certificate"]
    same = ("query", "office", "registrar", "protocol", "reveal", "purpose", "count", "cases")
    return Intent(
        **{name: certificate[name] for name in same},
        datasets=tuple(IntentDataset(**line) for line in certificate["datasets"]),
        slots=tuple(Slot(**slot) for slot in body["slots"]),
        digest=body["digest"],
        certificate=certificate,
        signature=Signature(**body["signature"]),
        at=value["at"],
    )


def _release(value: dict[str, Any] | None) -> Release | None:
    if value is None:
        return None
    return Release(**value["body"], trustee=value["by"], at=value["at"], entry=value["entry"])
