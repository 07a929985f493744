"""Publications and rules on the ledger, in the form in which the protocols verify evidence against them."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.contract.records import Intent, Publication
from ledger.contract.view import View
from node.errors import RefusalError
from protocols.check.certificate import RulesReference
from protocols.check.evidence import SetReference
from protocols.check.terms import RuleDatasets
from protocols.profiles import PAILLIER_PROFILES, TAG_BYTES


def rule_datasets(view: View, rules: RulesReference) -> RuleDatasets:
    """Dataset ids of approved rules, as the ledger records them.

    Raises:
        RefusalError: ``rules``: not on the ledger, another digest, or not approved.
    """
    found = view.rules(rules.id, rules.version)
    if found is None or found.digest != rules.digest or not view.is_approved(found.rules, found.version):
        raise RefusalError(
            "rules", "the rules are not approved on the ledger by the auditor and each dataset's owner"
        )
    return RuleDatasets(found.income, found.deduct, found.veto, found.exclude)


def reference(publication: Publication) -> SetReference:
    """One publication as evidence is checked against it."""
    ciphertext = 0
    if publication.kind == "amount":
        ciphertext = PAILLIER_PROFILES[publication.suite].modulus_bits // 4
    return SetReference(
        publication.dataset,
        publication.label,
        bytes.fromhex(publication.key),
        bytes.fromhex(publication.root),
        publication.count,
        TAG_BYTES + ciphertext,
    )


def set_references(view: View, intent: Intent, datasets: Iterable[str]) -> dict[str, SetReference]:
    """References of the named datasets, each verified by the intent's office and an auditor.

    Raises:
        RefusalError: ``not_named``, or ``unverified`` where a ``dataset.verified`` is missing.
    """
    named = {item.dataset: item for item in intent.datasets}
    found: dict[str, SetReference] = {}
    for dataset in datasets:
        item = named.get(dataset)
        publication = None if item is None else view.publication(dataset, item.publication)
        if item is None or publication is None:
            raise RefusalError(
                "not_named", f"the intent names no publication of {dataset}, so no total can be opened"
            )
        verified = view.verified(dataset, item.publication, intent.office) and view.audited(
            dataset, item.publication
        )
        if not verified:
            raise RefusalError(
                "unverified", f"{dataset}: the publication is not verified by office and auditor"
            )
        found[dataset] = reference(publication)
    return found
