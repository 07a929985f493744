"""Bodies of entries, one function per type, so that no caller spells a field wrongly.

Every function returns the body of its type as ``ledger/entries/body_schema.py`` requires it: digests, keys
and commitments are lower-case hex, dates ``YYYY-MM-DD``. They check nothing; the schema does. The types whose
body is one commitment and a code (``case.decision``, ``complaint``, ``correction``) share ``committed``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ledger.entries.entry import Body, Signature, certificate_digest


def key(use: str, alg: str, public: bytes, name: str | None = None) -> Body:
    """A key object of a member; ``name`` is the vkey's for witness and log keys."""
    value = {"use": use, "alg": alg, "public": public.hex()}
    return value if name is None else {**value, "name": name}


def member(id: str, name: str, roles: Sequence[str], keys: Sequence[Body], endpoint: str, tls: bytes) -> Body:
    """A member object; ``tls`` is the DER of its own CA certificate."""
    return {
        "id": id,
        "name": name,
        "roles": list(roles),
        "keys": list(keys),
        "endpoint": endpoint,
        "tls": tls.hex(),
    }


def network_genesis(*, pilot: bool, epoch: str, members: Sequence[Body], params: Mapping[str, Any]) -> Body:
    """``network.genesis``; ``params`` holds ``suite`` and further texts, integers and booleans."""
    return {"pilot": pilot, "epoch": epoch, "members": list(members), "params": dict(params)}


def member_admit(member: Body, version: int) -> Body:
    """``member.admit``, from ``member``."""
    return {"member": member, "version": version}


def member_remove(member: str, version: int, reason: str) -> Body:
    """``member.remove``."""
    return {"member": member, "version": version, "reason": reason}


def member_key(member: str, version: int, keys: Sequence[Body]) -> Body:
    """``member.key``: the whole new set of keys."""
    return {"member": member, "version": version, "keys": list(keys)}


def member_endpoint(member: str, version: int, endpoint: str) -> Body:
    """``member.endpoint``."""
    return {"member": member, "version": version, "endpoint": endpoint}


def coverage(title: str, period: str | None = None, regions: Sequence[str] | None = None) -> Body:
    """A publication's coverage; ``period`` is ``YYYY-MM/YYYY-MM``."""
    value: Body = {"title": title}
    if period is not None:
        value["period"] = period
    if regions is not None:
        value["regions"] = list(regions)
    return value


def dataset_publish(  # noqa: PLR0913  the body has these fields
    *,
    dataset: str,
    epoch: str,
    revision: int,
    kind: str,
    suite: str,
    key: str,
    root: str,
    count: int,
    as_of: str,
    coverage: Body,
    definition: str,
    secrecy: str,
) -> Body:
    """``dataset.publish``; ``count`` is the padded number of leaves."""
    return {
        "dataset": dataset,
        "epoch": epoch,
        "revision": revision,
        "kind": kind,
        "suite": suite,
        "key": key,
        "root": root,
        "count": count,
        "as_of": as_of,
        "coverage": coverage,
        "definition": definition,
        "secrecy": secrecy,
    }


def dataset_verified(dataset: str, publication: str, root: str) -> Body:
    """``dataset.verified``."""
    return {"dataset": dataset, "publication": publication, "root": root}


def dataset_retired(dataset: str, publication: str, reason: str) -> Body:
    """``dataset.retired``."""
    return {"dataset": dataset, "publication": publication, "reason": reason}


def sumkey_publish(  # noqa: PLR0913  the body has these fields
    *,
    suite: str,
    bits: int,
    office: str,
    trustees: Sequence[str],
    threshold: int,
    modulus: str,
    base: str,
    v: str,
    verification: Mapping[str, str],
    ceremony: str,
    proof: Sequence[str],
) -> Body:
    """``sumkey.publish``; numbers are big-endian hex of whole bytes."""
    return {
        "suite": suite,
        "bits": bits,
        "office": office,
        "trustees": list(trustees),
        "threshold": threshold,
        "modulus": modulus,
        "base": base,
        "v": v,
        "verification": dict(verification),
        "ceremony": ceremony,
        "proof": list(proof),
    }


def rules_publish(  # noqa: PLR0913  the body has these fields
    *,
    rules: str,
    version: str,
    digest: str,
    region: str,
    effective: str,
    income: Iterable[str] = (),
    deduct: Iterable[str] = (),
    veto: Iterable[str] = (),
    exclude: Iterable[str] = (),
) -> Body:
    """``rules.publish``."""
    return {
        "rules": rules,
        "version": version,
        "digest": digest,
        "region": region,
        "effective": effective,
        "income": list(income),
        "deduct": list(deduct),
        "veto": list(veto),
        "exclude": list(exclude),
    }


def rules_approve(rules: str, version: str, digest: str) -> Body:
    """``rules.approve``."""
    return {"rules": rules, "version": version, "digest": digest}


def grant_request(  # noqa: PLR0913  the body has these fields
    *,
    grant: str,
    requester: str,
    owner: str,
    definitions: Mapping[str, str],
    protocol: str,
    reveal: str,
    purpose: str,
    basis: str,
    first: str,
    last: str,
    period: str,
    slots: int,
    elements: int,
    min_terms: int,
) -> Body:
    """``grant.request``; ``definitions`` by dataset, ``first`` and ``last`` are from and until."""
    return {
        "grant": grant,
        "requester": requester,
        "owner": owner,
        "datasets": [{"dataset": name, "definition": definitions[name]} for name in sorted(definitions)],
        "protocol": protocol,
        "reveal": reveal,
        "purpose": purpose,
        "basis": basis,
        "from": first,
        "until": last,
        "period": period,
        "slots": slots,
        "elements": elements,
        "min_terms": min_terms,
    }


def grant_decide(grant: str, decision: str) -> Body:
    """``grant.decide``: ``approve`` or ``reject``."""
    return {"grant": grant, "decision": decision}


def grant_revoke(grant: str, reason: str) -> Body:
    """``grant.revoke``."""
    return {"grant": grant, "reason": reason}


def grant_review(grant: str, result: str) -> Body:
    """``grant.review``."""
    return {"grant": grant, "result": result}


def consent_commit(commitments: Sequence[str]) -> Body:
    """``consent.commit``."""
    return {"commitments": list(commitments)}


def consent_revoke(commitment: str) -> Body:
    """``consent.revoke``."""
    return {"commitment": commitment}


def certificate_revoke(digest: str) -> Body:
    """``certificate.revoke``."""
    return {"digest": digest}


def query_intent(
    certificate: Body, signature: Signature, operator: str, slots: Iterable[tuple[str, str, int]]
) -> Body:
    """``query.intent``; ``slots`` are (grant, period label, slot), the digest is computed here."""
    return {
        "certificate": certificate,
        "signature": signature.to_json(),
        "digest": certificate_digest(certificate),
        "operator": operator,
        "slots": [{"grant": grant, "period": period, "slot": slot} for grant, period, slot in slots],
    }


def query_refused(entry: str, code: str) -> Body:
    """``query.refused``; ``entry`` is a salted digest of the refused entry."""
    return {"entry": entry, "code": code}


def query_answer(query: str, dataset: str, result: str, response: str) -> Body:
    """``query.answer``; ``result`` is ``answered`` or ``refused:<code>``."""
    return {"query": query, "dataset": dataset, "result": result, "response": response}


def query_close(query: str, total: str, report: str) -> Body:
    """``query.close``."""
    return {"query": query, "total": total, "report": report}


def share_release(query: str, case: int, terms: str) -> Body:
    """``share.release``; ``terms`` is the salted digest of the list of terms."""
    return {"query": query, "case": case, "list": terms}


def share_exception(query: str, case: int, terms: str, reason: str) -> Body:
    """``share.exception``."""
    return {"query": query, "case": case, "list": terms, "reason": reason}


def committed(commitment: str, code: str) -> Body:
    """``case.decision``, ``complaint`` and ``correction``."""
    return {"commitment": commitment, "code": code}


def incident(code: str, count: int, commitment: str | None = None) -> Body:
    """``incident``."""
    value: Body = {"code": code, "count": count}
    return value if commitment is None else {**value, "commitment": commitment}
