"""Whatever stands in a document, in any field or as any key, no message, error, traceback or log shows it."""

from __future__ import annotations

import copy
import importlib
import json
import logging
import shutil
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import node
from node.case import Case, load_cases, read_case
from node.config import read_settings
from node.demo.scenario.generate import generate
from node.demo.scenario.load import NetworkTable, ScenarioMember, load
from node.department.declaration import DatasetDeclaration, _DatasetFile, read_dataset_file
from node.errors import EXIT_USAGE, NodeError
from node.governance.grants import GrantRequest
from node.home import Home
from node.registrar.recent_subjects import QuestionAllowance
from node.rpc.untrusted_json import read_object
from node.rules.ruleset import RuleSet, parse
from node.validation.documents import InvalidDocumentError, Problem
from node.validation.model import NotedModel, StrictModel
from node.validation.node_toml import NodeToml, StoreAndKeys
from node.validation.reading import _fields, _model_in, read

IDENTIFIER, OLD_IDENTIFIER, NAME = "331098196001010013", "331098600101001", "王小明"
SECRETS = (IDENTIFIER, OLD_IDENTIFIER, NAME)

RULES: dict[str, Any] = {
    "id": "dibao",
    "version": "2026.1",
    "region": "3310",
    "effective": "2026-01-01",
    "per_head_monthly_fen": 110000,
    "income": ["tax.income"],
    "deduct": ["hib.selfpaid"],
    "veto": ["vehicle.owner"],
    "exclude": ["justice.custody"],
    "outcome": [
        {"code": "dibao", "at_most": "1.0", "title": "t", "note": "n"},
        {"code": "edge", "below": "1.5"},
    ],
    "otherwise": {"code": "none", "title": "t", "note": "n"},
    "max_age_days": 30,
    "title": "t",
    "note": "n",
}
CASE: dict[str, Any] = {
    "case": "2026-000001",
    "rules": "dibao@2026.1",
    "applied": "2026-11-02",
    "office": "office",
    "household": [
        {"name": NAME, "id": IDENTIFIER, "relation": "self", "consent": "signed", "region": "33", "note": "n"}
    ],
    "note": "n",
}
DATASET: dict[str, Any] = {
    "id": "tax.income",
    "title": "t",
    "kind": "amount",
    "source": "csv:tax/income.csv",
    "identifier": "id",
    "amount": "fen",
    "unit": "fen",
    "where": "fen > 0",
    "as_of": "2026-10-31",
    "secrecy": "sensitive",
    "row_key": ["number"],
    "period": "2025-11/2026-10",
    "regions": ["3310"],
    "note": "n",
}
MEMBER: dict[str, Any] = {
    "id": "tax",
    "name": "税务局",
    "roles": ["department"],
    "dataset": [DATASET],
    "note": "n",
}
NETWORK: dict[str, Any] = {
    "network": "s-county",
    "epoch": "2026-11",
    "pilot": True,
    "suite": "paillier-3072",
    "member": [MEMBER],
    "note": "n",
}
NODE: dict[str, Any] = {
    "member": {"id": "tax", "name": "税务局", "roles": ["department"]},
    "listen": {"address": "127.0.0.1:7401", "endpoint": "tax:7401"},
    "store": {"url": "sqlite:///node.db"},
    "ledger": {"uri": "embedded:"},
    "work": {"threads": 64, "processes": 0},
    "web": {"address": "127.0.0.1:7480", "logs": [{"vkey": "v"}]},
    "keys": {"passphrase_file": "passphrase"},
    "timestamps": {"url": "http://tsa", "ca": "tsa-ca.pem", "every": 3600, "policy": "1.2.3"},
}
GRANT: dict[str, Any] = {
    "owner": "tax",
    "datasets": ["tax.income"],
    "protocol": "sum",
    "reveal": "total",
    "purpose": "dibao",
    "basis": "b",
    "from": "2026-11-01",
    "until": "2027-10-31",
    "period": "month",
    "slots": 3,
    "elements": 8,
    "min_terms": 0,
}
DOCUMENTS: dict[type[StrictModel], dict[str, Any]] = {
    RuleSet: RULES,
    Case: CASE,
    DatasetDeclaration: DATASET,
    _DatasetFile: {"dataset": [DATASET], "note": "n"},
    ScenarioMember: MEMBER,
    NetworkTable: NETWORK,
    NodeToml: NODE,
    GrantRequest: GRANT,
    QuestionAllowance: {"case": "2026-000001", "month": "2026-11", "reason": "appeal"},
    StoreAndKeys: {"store": NODE["store"], "keys": NODE["keys"]},
}
"""A document of each model that is read by itself, with every field of it and of the models inside."""
OPEN = (NetworkTable, StoreAndKeys)
"""Models that leave a part of the file to another one."""


def toml(value: Any) -> str:
    """A value as TOML writes it in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def toml_file(document: dict[str, Any]) -> bytes:
    return "".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in document.items()).encode()


def json_bytes(document: dict[str, Any]) -> bytes:
    """As canonical JSON would write it, numbers that it refuses included."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document, its own first."""
    yield at
    if isinstance(value, dict | list):
        for step in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[step], (*at, step))


def spoiled(document: dict[str, Any], secret: str) -> Iterator[tuple[dict[str, Any], bool]]:
    """Copies with the secret at one place, and whether the place is a key, which is refused everywhere."""
    number = [int(secret)] if secret.isdecimal() else []
    values = (secret, *number, f"x{secret}", [secret], {secret: secret}, f"{secret}.{secret}", f"a{secret}@1")
    for place in places(document):
        for value in values if place else ():
            changed = copy.deepcopy(document)
            put(changed, place, value)
            yield changed, False
        if isinstance(get(document, place), dict):
            for key in (secret, f"id{secret}", f"{secret} "):
                changed = copy.deepcopy(document)
                get(changed, place)[key] = secret
                yield changed, "note" not in place


def get(document: Any, place: tuple[Any, ...]) -> Any:
    for step in place:
        document = document[step]
    return document


def put(document: Any, place: tuple[Any, ...], value: Any) -> None:
    get(document, place[:-1])[place[-1]] = value


def everything_said(error: BaseException) -> str:
    """All text that an error and the errors behind it can become."""
    said = ["".join(traceback.format_exception(error))]
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is not None:
            said += [str(one), repr(one), repr(one.args), repr(vars(one))]
            waiting += [one.__cause__, one.__context__]
    return "\n".join(said)


def said_by(job: Callable[[], object]) -> str | None:
    """What a job's refusal says in all ways; None where it accepts."""
    try:
        job()
    except NodeError as error:
        return everything_said(error)
    return None


def require_valid(model: type[StrictModel], document: object) -> None:
    problems: list[Problem] = []
    read(model, document, "file", problems)
    if problems:
        raise InvalidDocumentError(problems)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("model", DOCUMENTS)
def test_no_model_shows_what_it_refuses(
    model: type[StrictModel], secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    document = json.loads(json.dumps(DOCUMENTS[model]).replace(json.dumps(NAME), '"n"'))
    assert said_by(partial(require_valid, model, document)) is None
    refused = 0
    for changed, is_key in spoiled(document, secret):
        said = said_by(partial(require_valid, model, changed))
        assert said is not None or not is_key or model in OPEN
        assert secret not in (said or "")
        refused += said is not None
    assert refused > min(10, 2 * len(list(places(document))))
    assert secret not in caplog.text


READERS: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any], Path], object]]] = {
    "rules": (RULES, lambda document, _: parse(toml_file(document))),
    "case": (CASE, lambda document, _: read_case(json.dumps(document).encode(), ["office"])),
    "datasets": (
        {"dataset": [DATASET]},
        lambda document, _: read_dataset_file(toml_file(document), "f.toml"),
    ),
    "request": (
        DATASET,
        lambda document, _: DatasetDeclaration.parse(read_object(json_bytes(document))),
    ),
    "grant": (GRANT, lambda document, _: GrantRequest.parse(read_object(json_bytes(document)))),
    "allowance": (
        DOCUMENTS[QuestionAllowance],
        lambda document, _: QuestionAllowance.parse(read_object(json_bytes(document))),
    ),
    "node": (NODE, lambda document, folder: read_settings(Home(folder), toml_file(document), b"x")),
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("reader", READERS)
def test_no_reader_shows_what_it_refuses(
    reader: str, secret: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    document, job = READERS[reader]
    document = json.loads(json.dumps(document).replace(json.dumps(NAME), '"n"'))
    job(document, tmp_path)
    for changed, is_key in spoiled(document, secret):
        said = said_by(partial(job, changed, tmp_path))
        assert said is not None or not is_key
        assert secret not in (said or "")
    assert secret not in caplog.text


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("identifiers") / "scenario", residents=0, cases=1)


@pytest.mark.parametrize("secret", SECRETS)
def test_no_scenario_shows_what_it_refuses(scenario: Path, secret: str) -> None:
    """network.toml with one member spoiled, beside rules and a case that are right."""
    path = scenario / "network.toml"
    right = path.read_bytes()
    try:
        for changed, is_key in spoiled(NETWORK, secret):
            path.write_bytes(toml_file(changed))
            said = said_by(lambda: load(scenario))
            assert said is not None or not is_key
            assert secret not in (said or "")
    finally:
        path.write_bytes(right)


def test_a_command_prints_every_fault_and_no_identifier(scenario: Path, tmp_path: Path) -> None:
    folder = tmp_path / "scenario"
    shutil.copytree(scenario, folder)
    path = next((folder / "cases").glob("*.json"))
    case = json.loads(path.read_text("utf-8"))
    case["household"][0] |= {"id": int(IDENTIFIER), "consent": NAME, OLD_IDENTIFIER: NAME}
    path.write_text(json.dumps(case | {"office": IDENTIFIER}), "utf-8")
    command = [sys.executable, "-m", "node.cli", "demo", str(folder), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == EXIT_USAGE
    for field in ("office", "household[1].id", "household[1].consent", "household[1].(a key"):
        assert f"cases/{path.name}: {field}" in done.stderr
    assert not [secret for secret in SECRETS if secret in done.stdout + done.stderr]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_file_that_cannot_be_decoded_is_not_shown(secret: str, tmp_path: Path) -> None:
    broken = [
        f'"{secret}" = {secret}{secret}x',
        f'"{secret}" = 1\n"{secret}" = 2',
        f'[{json.dumps(secret)}]\n[{json.dumps(secret)}]\n"{secret}" = 1',
        f'{{"{secret}": {secret}, "{secret}": 1}}',
        f'{{"{secret}": "\\u{secret}"}}',
    ]
    for data in [text.encode() for text in broken] + [broken[3].encode() + b"\xff"]:
        (tmp_path / "case.json").write_bytes(data)
        (tmp_path / "node.toml").write_bytes(data)
        jobs: tuple[Callable[[], object], ...] = (
            partial(parse, data),
            partial(read_case, data, ["office"]),
            partial(load_cases, tmp_path),
            partial(read_dataset_file, data, "f.toml"),
            partial(read_object, data),
            partial(read_settings, Home(tmp_path), data, b"x"),
        )
        for job in jobs:
            said = said_by(job)
            assert said is not None
            assert secret not in said


def test_a_person_and_a_case_show_neither_name_nor_identifier() -> None:
    case = read_case(json.dumps(CASE).encode(), ["office"])
    assert (case.household[0].name, case.household[0].id) == (NAME, IDENTIFIER)
    for shown in (repr(case), str(case), repr(case.household[0]), str(case.household[0]), f"{case!r:s}"):
        assert NAME not in shown
        assert IDENTIFIER not in shown
        assert "signed" in shown


def test_every_field_of_every_model_stands_in_a_document_of_this_test() -> None:
    root = Path(node.__file__).parent
    for path in sorted(root.rglob("*.py")):
        if "StrictModel" in (text := path.read_text("utf-8")) or "NotedModel" in text:
            importlib.import_module(".".join(("node", *path.relative_to(root).with_suffix("").parts)))
    seen: set[tuple[type, str]] = set()
    for model, document in DOCUMENTS.items():
        collect(model, document, seen)
    wanted = {(model, name) for model in models(StrictModel) for name, _ in _fields(model)}
    assert wanted - seen == set()


def models(base: type[StrictModel]) -> Iterator[type[StrictModel]]:
    """Every model of the program below a base."""
    for model in base.__subclasses__():
        if model is not NotedModel and model.__module__.startswith("node."):
            yield model
        yield from models(model)


def collect(model: type[StrictModel], document: dict[str, Any], seen: set[tuple[type, str]]) -> None:
    for name, field in _fields(model):
        if name not in document:
            continue
        seen.add((model, name))
        inner, value = _model_in(field.annotation), document[name]
        for item in value if isinstance(value, list) else [value]:
            if inner is not None and issubclass(inner, StrictModel):
                collect(inner, item, seen)
    if model is NetworkTable:
        collect(ScenarioMember, document["member"][0], seen)


@pytest.mark.parametrize("written", [IDENTIFIER, OLD_IDENTIFIER, "331098 19600101 0013", f"户主{IDENTIFIER}"])
@pytest.mark.parametrize("field", ["name", "relation"])
def test_a_text_shown_in_the_clear_holds_no_identifier(field: str, written: str) -> None:
    person = {**CASE["household"][0], field: written}
    with pytest.raises(
        InvalidDocumentError, match=rf"household\[1\]\.{field}: holds what looks like"
    ) as caught:
        read_case(json.dumps({**CASE, "household": [person]}).encode(), ["office"])
    assert written not in str(caught.value)


@pytest.mark.parametrize("number", [OLD_IDENTIFIER, "331098-19600101-0017"])
def test_a_case_number_is_no_identifier_in_any_form(number: str) -> None:
    with pytest.raises(InvalidDocumentError, match="case: looks like an identifier"):
        read_case(json.dumps({**CASE, "case": number}).encode(), ["office"])


@pytest.mark.parametrize("name", [IDENTIFIER, OLD_IDENTIFIER, f"case_{IDENTIFIER}", f"id{IDENTIFIER}"])
def test_the_name_of_a_file_shows_no_identifier(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.json").write_text("{")
    (tmp_path / "2026-000123.json").write_text("{")
    with pytest.raises(InvalidDocumentError) as caught:
        load_cases(tmp_path)
    assert IDENTIFIER not in str(caught.value)
    assert OLD_IDENTIFIER not in str(caught.value)
    assert "2026-000123.json: is not JSON" in str(caught.value)
