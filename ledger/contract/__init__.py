"""The contract: what may be appended, decided the same way on every engine.

``apply(state, entry, now)`` is a pure function of its arguments: no clock, no randomness, no floats, nothing
read or written but ``state``, through get and put alone. The embedded log runs it in its append transaction,
the Fabric chaincode in its own, and every replica again for every ordered entry; an entry it refuses is void
and changes nothing. ``now`` is the contract's time, the greatest ``time`` of the entries so far, this one
included; the caller keeps it.

An entry is checked in this order: time, network and genesis, id, form of the body
(``ledger/entries/body_schema.py``),
signers (known, with the role and in the number the table below wants), signatures, the type's rule. The first
failure raises ``EntryRefusedError`` with a stable code and a remedy.

Codes, by what refuses:

- every entry: ``time_ahead``, ``no_genesis``, ``genesis_exists``, ``wrong_network``, ``id_used``
- form of the body: ``unknown_type``, ``unknown_field``, ``missing_field``, ``bad_field``,
  ``identifier_shaped``
- signers: ``unknown_signer``, ``not_a_node_key``, ``duplicate_signer``, ``missing_signer``,
  ``surplus_signer``, ``role_missing``, ``bad_signature``
- members: ``genesis_id``, ``member_exists``, ``member_unknown``, ``not_the_member``, ``version_not_higher``,
  ``role_conflict``, ``second_registrar``, ``second_sequencer``, ``too_few_members``, ``last_founder``,
  ``member_keys``, ``malformed_key``, ``key_taken``, ``key_name_taken``
- datasets: ``not_owner``, ``suite_mismatch``, ``rows_not_padded``, ``kind_changed``, ``publication_exists``,
  ``key_reused``, ``publication_unknown``, ``publication_retired``, ``root_differs``, ``already_verified``
- rules: ``rules_overlap``, ``rules_exist``, ``rules_unknown``, ``rules_digest``, ``not_approver``,
  ``already_approved``
- grants (the last four and ``grant_unknown`` from intents too): ``grant_exists``, ``grant_unknown``,
  ``grant_decided``, ``grant_not_approved``, ``grant_requester``, ``grant_owner``, ``grant_dataset``,
  ``grant_dates``
- consents: ``consent_exists``, ``consent_unknown``, ``consent_revoked``, ``certificate_revoked``
- an intent's certificate (``certificate_revoked`` too): ``certificate_network``, ``certificate_office``,
  ``certificate_query``, ``certificate_digest``, ``certificate_early``, ``certificate_expired``,
  ``certificate_signature``, ``registrar_role``, ``registrar_key``
- an intent's content: ``elements_not_padded``, ``case_count``, ``trace_count``, ``trace_order``,
  ``rules_not_approved``, ``dataset_not_in_rules``, ``datasets_order``, ``sumkey_missing``,
  ``publication_not_current``, ``publication_key``, ``protocol_not_sum``
- an intent's grants: ``grant_revoked``, ``grant_protocol``, ``grant_reveal``, ``grant_purpose``,
  ``owner_gone``, ``definition_changed``
- an intent's slots: ``slot_grant``, ``slot_period``, ``slot_range``, ``slot_twice``, ``slot_taken``,
  ``slot_count``
- after an intent: ``already_recorded``, ``query_unknown``, ``dataset_not_asked``, ``already_answered``,
  ``already_refused``, ``not_the_office``, ``already_closed``
- the sum key and totals: ``sumkey_holders``, ``sumkey_threshold``, ``sumkey_modulus``, ``sumkey_exists``,
  ``not_answered``, ``already_released``, ``exception_exists``, ``case_range``
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ledger.contract import datasets, grants, intents, network, queries, rules, signers
from ledger.contract.context import Context, require
from ledger.contract.records import Network
from ledger.contract.state import Overlay, State
from ledger.contract.view import Remembered, View
from ledger.entries.body_schema import check_body, refuse_identifier
from ledger.entries.entry import Entry
from ledger.entries.times import parse_time

__all__ = ["GENESIS", "TABLE", "Rule", "apply", "apply_proven"]

GENESIS = "network.genesis"
_ANY: tuple[str, ...] = ()
_OWNER = ("department",)
_OFFICE = ("office",)
_REGISTRAR = ("registrar",)
_TRUSTEE = ("trustee",)


@dataclass(frozen=True)
class Rule:
    """One line of the contract.

    Attributes:
        roles: the submitting member holds one of them; empty for any member.
        cosigners: who else must sign the body.
        check: raises ``EntryRefusedError`` or writes what the entry changes.
    """

    roles: tuple[str, ...]
    cosigners: signers.SignerRule
    check: Callable[[Context], None]


TABLE: Mapping[str, Rule] = {
    GENESIS: Rule(_ANY, signers.every_founder, network.genesis),
    "member.admit": Rule(_ANY, signers.founders, network.admit),
    "member.remove": Rule(_ANY, signers.founders, network.remove),
    "member.key": Rule(_ANY, signers.founders, network.replace_keys),
    "member.endpoint": Rule(_ANY, signers.nobody, network.move_endpoint),
    "dataset.publish": Rule(_OWNER, signers.nobody, datasets.publish),
    "dataset.verified": Rule(("office", "auditor"), signers.nobody, datasets.verified),
    "dataset.retired": Rule(_OWNER, signers.nobody, datasets.retired),
    "sumkey.publish": Rule(_OFFICE, signers.trustees, queries.sumkey),
    "rules.publish": Rule(_OFFICE, signers.nobody, rules.publish),
    "rules.approve": Rule(_ANY, signers.nobody, rules.approve),
    "grant.request": Rule(_OFFICE, signers.nobody, grants.request),
    "grant.decide": Rule(_OWNER, signers.two_operators, grants.decide),
    "grant.revoke": Rule(_OWNER, signers.two_operators, grants.revoke),
    "grant.review": Rule(_OWNER, signers.two_operators, grants.review),
    "consent.commit": Rule(_REGISTRAR, signers.nobody, queries.commit_consents),
    "consent.revoke": Rule(_REGISTRAR, signers.nobody, queries.revoke_consent),
    "certificate.revoke": Rule(_REGISTRAR, signers.nobody, queries.revoke_certificate),
    "query.intent": Rule(_OFFICE, signers.nobody, intents.intent),
    "query.refused": Rule(("sequencer",), signers.nobody, queries.refused),
    "query.answer": Rule(_OWNER, signers.nobody, queries.answer),
    "query.close": Rule(_OFFICE, signers.nobody, queries.close),
    "share.release": Rule(_TRUSTEE, signers.nobody, queries.release),
    "share.exception": Rule(_TRUSTEE, signers.two_operators, queries.exception),
    "case.decision": Rule(_OFFICE, signers.nobody, queries.note),
    "complaint": Rule(_ANY, signers.nobody, queries.note),
    "correction": Rule(_ANY, signers.nobody, queries.note),
    "incident": Rule(_ANY, signers.nobody, queries.note),
}
"""Every entry type: who submits, who co-signs, what is checked."""


def apply(state: State, entry: Entry, now: str) -> None:
    """Apply an entry to the state, or refuse it and leave the state as it was.

    Args:
        state: read with get; written with put only when the entry is accepted, after every check.
        entry: a parsed entry.
        now: the contract's time, ``YYYY-MM-DDTHH:MM:SSZ``, not before ``entry.time``.

    Raises:
        EntryRefusedError: the contract does not allow the entry; ``code`` and ``remedy`` say why.
        ValueError: ``now`` is no ledger time.
    """
    _apply(state, entry, now, proven=False)


def apply_proven(state: State, entry: Entry, now: str, remembered: Remembered | None = None) -> None:
    """``apply`` for an entry whose form and signatures ``ledger.contract.signature_check`` has proven.

    Everything that depends on the state is decided here as ever, in the same order: whose the keys are and
    whether they are active now, too. For any other entry this is no contract.

    Args:
        state, entry, now: as for ``apply``. remembered: what views of this state made before.

    Raises:
        EntryRefusedError, ValueError: as ``apply``.
    """
    _apply(state, entry, now, proven=True, remembered=remembered)


def _apply(
    state: State, entry: Entry, now: str, *, proven: bool, remembered: Remembered | None = None
) -> None:
    parse_time(now)
    overlay = Overlay(state)
    view = View(overlay, remembered)
    founded = _check_place(view, entry, now)
    if not proven:
        check_body(entry.type, entry.body)
    rule = TABLE[entry.type]
    founding = network.founding_signers(entry) if founded is None else {}
    resolve: signers.Resolve = view.member_by_key if founded is not None else founding.get
    found = signers.identify(entry, resolve)
    submitter, cosigners = found[0][0], found[1:]
    allowed = not rule.roles or any(role in submitter.roles for role in rule.roles)
    require(
        allowed, "role_missing", f"only a member with the role {' or '.join(rule.roles)} submits this type"
    )
    rule.cosigners(signers.Signing(view, entry, submitter, cosigners))
    if not proven:
        signers.verify(entry, found)
    settled = network.founding_network(entry) if founded is None else founded
    rule.check(Context(overlay, view, settled, entry, now, submitter, cosigners, proven))
    overlay.put(f"id/{entry.id}", {"type": entry.type})
    overlay.commit()


def _check_place(view: View, entry: Entry, now: str) -> Network | None:
    """Time, network and id; the network, or None for the genesis entry of an empty state."""
    require(entry.time <= now, "time_ahead", "the contract's time must have reached the entry's time")
    founded = view.network()
    if founded is None:
        require(entry.type == GENESIS, "no_genesis", "the first entry of a network is its genesis")
        return None
    require(entry.type != GENESIS, "genesis_exists", "this network has its genesis: name another log")
    require(entry.network == founded.network, "wrong_network", "the entry is for another network")
    refuse_identifier(entry.id, "id")
    require(
        not view.used(entry.id), "id_used", "this id is on the ledger: if it is this entry, it is recorded"
    )
    return founded
