"""Every way an entry is refused: each code of the contract has a case, and a refusal changes nothing.

The cases are in the ``refused_*`` modules beside this one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ledger.contract
import ledger.entries.body_schema
from ledger.contract.state import MemoryState
from ledger.entries.entry import Entry
from ledger.errors import EntryRefusedError
from tests.ledger.contract import (
    refused_answers,
    refused_data,
    refused_entries,
    refused_intents,
    refused_members,
    refused_signers,
    refused_slots,
)
from tests.ledger.contract.contract_cases import Net, ready, signer
from tests.ledger.contract.refusal_cases import CASES, QUERY, intent_entry

AREAS = (
    refused_answers,
    refused_data,
    refused_entries,
    refused_intents,
    refused_members,
    refused_signers,
    refused_slots,
)


@pytest.mark.parametrize(("code", "make"), [pytest.param(c, m, id=f"{c}: {n}") for c, n, m in CASES])
def test_refused(code: str, make: Callable[[], tuple[Net, Entry]]) -> None:
    net, entry = make()
    before = dict(net.state.values)
    with pytest.raises(EntryRefusedError) as caught:
        net.apply(entry)
    assert caught.value.code == code, caught.value
    assert net.state.values == before
    assert caught.value.remedy


def test_the_stages_accept_what_the_cases_change() -> None:
    for grant_changes in ({}, {"first": "2026-11-22"}, {"last": "2026-11-22"}, {"elements": 4}):
        net = ready()
        net.grant("tax", "g-2", **grant_changes)
        certificate = net.certificate(QUERY, "tax.owner")
        certificate["datasets"][0]["grant"] = "g-2"
        net.apply(intent_entry(net, net.intent_body(certificate, net.slots(0, grants=["g-2"])))[1])


def _codes_in(tree: ast.AST) -> set[str]:
    """Codes the source can refuse with: the literal at the code's place in each call that takes one."""
    places = {"require": 1, "EntryRefusedError": 0, "put_new": 2, "verify_signature": 3}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            argument = node.args[places[name]] if name in places else None
            if isinstance(argument, ast.Constant):
                found.add(str(argument.value))
    return found


def test_no_area_is_forgotten() -> None:
    files = {path.stem for path in Path(__file__).parent.glob("refused_*.py")}
    assert {area.__name__.rpartition(".")[2] for area in AREAS} == files


def test_every_code_is_documented_and_has_a_case() -> None:
    folder = Path(str(ledger.contract.__file__)).parent
    sources = [*folder.glob("*.py"), Path(str(ledger.entries.body_schema.__file__))]
    raised = set().union(*(_codes_in(ast.parse(source.read_text("utf-8"))) for source in sources))
    table = str(ledger.contract.__doc__).partition("Codes, by what refuses:")[2]
    assert set(re.findall(r"``([a-z_]+)``", table)) == raised
    assert {code for code, _name, _make in CASES} == raised


def test_a_refused_entry_leaves_no_value_behind_even_late() -> None:
    class Counting(MemoryState):
        puts = 0

        def put(self, key: str, value: Any) -> None:
            self.puts += 1
            super().put(key, value)

    net = ready()
    state = Counting()
    state.values = dict(net.state.values)
    net.state = state
    certificate = net.certificate(QUERY)
    body = net.intent_body(certificate, net.slots(0), signer("office"))
    with pytest.raises(EntryRefusedError, match="registrar_key"):
        net.apply(net.entry("query.intent", "office", body, id=QUERY))
    assert state.puts == 0
