"""Asking the departments in parallel, and verifying each answer before it counts."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

from node.errors import NodeError, RefusalError, ServiceUnavailableError
from node.office import calls
from node.office.check_state import Answers
from node.office.inquiry import Inquiry
from node.rules.gaps import SILENT, Gap, GapKind
from node.services import Services, check_signature
from node.tlog.restore_fence import CODE as RESTORED
from protocols.check.answer import Answer, receipt_message, verify_answer
from protocols.errors import ProtocolError

PARALLEL_SOURCES = 16
MALFORMED = Gap.refused("malformed")

log = logging.getLogger("hedui.check")


def ask_departments(services: Services, current: Inquiry) -> Answers:
    """Ask every owner of a certified dataset at the same time.

    A department that is out of reach or refuses leaves a gap; so does an answer that does not hold.
    """
    owners: dict[str, list[str]] = {}
    for item in current.certificate.datasets:
        owners.setdefault(item.owner, []).append(item.dataset)
    if not owners:
        return Answers()
    leaf, receipt = services.ledger.replica_receipt(current.query)
    answers: dict[str, Answer] = {}
    gaps: dict[str, Gap] = {}

    def ask(owner: str) -> Answers:
        return _ask_owner(services, current, leaf, receipt, owner, owners[owner])

    with ThreadPoolExecutor(PARALLEL_SOURCES, thread_name_prefix="ask") as pool:
        for owner, received in zip(owners, pool.map(ask, owners), strict=True):
            gaps.update(received.gaps)
            for dataset, answer in received.by_dataset.items():
                if _holds(services, current, owner, answer):
                    answers[dataset] = answer
                else:
                    gaps[dataset] = MALFORMED
    return Answers(answers, gaps)


def _ask_owner(
    services: Services, current: Inquiry, leaf: bytes, receipt: bytes, owner: str, datasets: list[str]
) -> Answers:
    """One owner's answers as received, or the gap that it leaves."""
    try:
        received = calls.ask(services, owner, current, leaf, receipt, datasets)
    except ServiceUnavailableError:
        return Answers(gaps=dict.fromkeys(datasets, SILENT))
    except NodeError as error:
        return Answers(gaps=dict.fromkeys(datasets, Gap.refused(error.code)))
    return Answers({answer.dataset: answer for answer in received})


def _holds(services: Services, current: Inquiry, owner: str, answer: Answer) -> bool:
    """Whether an answer was made with the published key, and its receipt is signed by the owner."""
    item = current.certificate.dataset(answer.dataset)
    assert item is not None
    message = receipt_message(current.certificate, answer.dataset, answer.response)
    try:
        with services.timings.part("cryptography"):
            verify_answer(answer, item.key, current.openings.elements)
        check_signature(services.view, owner, answer.signature, message)
    except (ProtocolError, RefusalError) as error:
        log.warning("%s: the answer of %s does not hold: %s", answer.dataset, owner, error.code)
        return False
    return True


def stays_open(gap: Gap) -> bool:
    """Whether a gap is asked again later under the same intent: a source was silent, or refused for now.

    A department restored from a backup never answers an old question: that needs a new intent.
    """
    return gap == SILENT or (gap.kind is GapKind.REFUSED and gap.code != RESTORED)
