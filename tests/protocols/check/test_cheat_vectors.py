"""Every vector of ``cheats.json``: the honest check passes, each cheat fails with the code it names."""

from __future__ import annotations

import copy
import json
import runpy
from typing import Any

import pytest

from protocols.check.answer import Answer, verify_answer
from protocols.check.certificate import Certificate
from protocols.check.evidence import ElementProof, EvidenceLine, SetReference, verify_lines
from protocols.check.openings import Openings, check_openings
from protocols.check.terms import TermList, check_list, signed_ciphertexts
from protocols.errors import ProtocolError
from tests.protocols.check.small_check import RULES, VECTORS, household, paillier

FILE: dict[str, Any] = json.loads((VECTORS / "cheats.json").read_text())
CHEATS = {vector["name"]: vector for vector in FILE["cheats"]}


def verify(shown: dict[str, Any]) -> int:
    """What a trustee and a report's verifier do with a case; the number of its rows."""
    certificate = Certificate.parse(shown["certificate"])
    openings = Openings.parse(shown["openings"])
    check_openings(certificate, openings)
    references = {
        item.dataset: SetReference(
            item.dataset,
            item.publication,
            item.key,
            bytes.fromhex(shown["references"][item.dataset]["root"]),
            shown["references"][item.dataset]["count"],
            shown["references"][item.dataset]["leaf_bytes"],
        )
        for item in certificate.datasets
    }
    answers = {name: Answer.parse(name, value) for name, value in shown["answers"].items()}
    for name, reference in references.items():
        verify_answer(answers[name], reference.key, openings.elements)
    commitments = dict(zip(openings.real, openings.rlist, strict=True))
    lines = verify_lines(
        [EvidenceLine.parse(value) for value in shown["lines"]],
        [ElementProof.parse(value) for value in shown["proofs"]],
        commitments,
        answers,
        references,
    )
    terms = check_list(TermList.parse(shown["list"]), certificate, 0, openings.real, RULES, lines)
    rows = signed_ciphertexts(terms, lines)
    paillier().check_ciphertexts([paillier().from_bytes(data) for data, _ in rows])
    return len(rows)


def changed(document: dict[str, Any], changes: list[list[Any]]) -> dict[str, Any]:
    """The document after ``set``, ``insert`` and ``remove`` at their paths."""
    made = copy.deepcopy(document)
    for operation, path, *value in changes:
        place: Any = made
        for step in path[:-1]:
            place = place[step]
        if operation == "set":
            place[path[-1]] = value[0]
        elif operation == "insert":
            place.insert(path[-1], value[0])
        else:
            del place[path[-1]]
    return made


def test_the_file_is_what_its_maker_makes() -> None:
    made = runpy.run_path(str(VECTORS / "make_cheats.py"))["text"]()
    assert made == (VECTORS / "cheats.json").read_text(), "run tests/vectors/make_cheats.py"


def test_an_honest_check_passes() -> None:
    assert verify(FILE["honest"]) == 3
    assert FILE["honest"]["certificate"] == household().certificate.to_json()


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_fails(name: str) -> None:
    shown = changed(FILE["honest"], CHEATS[name]["change"])
    assert shown != FILE["honest"]
    with pytest.raises(ProtocolError) as caught:
        verify(shown)
    assert caught.value.code == CHEATS[name]["expect"], str(caught.value)
