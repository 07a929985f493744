"""Whole runs of the demo, from outside: answers against plain arithmetic, proofs against one changed byte,
files against a dictionary of all identifiers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ledger.audit.verify import verify_folder
from ledger.errors import LedgerError
from ledger.formats.policy import Policy
from node.cli.report import report as report_command
from node.report.findings import CHECK_TEXTS
from node.report.verify import verify_report
from tests.e2e.shared_network import hedui
from tests.node.demo import plain_arithmetic, second_scenario

POSITIONS = 30
Run = tuple[Path, Path]
"""Result and scenario."""


@pytest.fixture(params=["second", "generated"])
def run(request: pytest.FixtureRequest) -> Run:
    """Either run."""
    if request.param == "second":
        out: Path = request.getfixturevalue("second_run")
        return out, out.parent / "second-scenario"
    out = request.getfixturevalue("generated_run")
    return out, out / "scenario"


def policy_of(out: Path) -> Policy:
    return Policy.parse((out / "ledger" / "policy").read_text("utf-8"))


def reports(out: Path) -> list[Path]:
    return sorted((out / "reports").glob("*.json"))


# Answers.


def test_every_case_has_the_answer_of_plain_arithmetic(run: Run) -> None:
    out, scenario = run
    expected = plain_arithmetic.expected(scenario)
    found = {}
    for row in json.loads((out / "summary.json").read_text("utf-8")):
        lines = tuple(sorted((line["member"], line["dataset"], line["answer"]) for line in row["lines"]))
        found[row["case"]] = plain_arithmetic.Expected(row["outcome"], row["net_fen"], row["heads"], lines)
    assert found == expected


def test_the_messier_answers_are_those_written_down(second_run: Path) -> None:
    rows = json.loads((second_run / "summary.json").read_text("utf-8"))
    found = {row["case"]: (row["outcome"], row["net_fen"], row["heads"]) for row in rows}
    assert found == second_scenario.EXPECTED


def test_every_report_verifies_offline(run: Run) -> None:
    out, scenario = run
    assert len(reports(out)) == len(list((scenario / "cases").glob("*.json")))
    for path in reports(out):
        openings = out / "members" / office_of(scenario) / "openings" / path.name
        assert verify_report(path.read_bytes(), policy_of(out)) == []
        assert verify_report(path.read_bytes(), policy_of(out), openings.read_bytes()) == []


def office_of(scenario: Path) -> str:
    case: dict[str, str] = json.loads(next((scenario / "cases").glob("*.json")).read_text("utf-8"))
    return case["office"]


def test_the_commands_say_valid(run: Run) -> None:
    out, _ = run
    done = hedui("report", "verify", reports(out)[0], "--policy", out / "ledger" / "policy", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"valid": True, "failures": []})
    done = hedui("ledger", "verify", out / "ledger", "--policy", out / "ledger" / "policy", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["voids"] == []


def test_a_report_of_the_other_network_is_not_valid_under_this_policy(
    second_run: Path, generated_run: Path
) -> None:
    failures = verify_report(reports(second_run)[0].read_bytes(), policy_of(generated_run))
    assert "policy" in {failure.check for failure in failures}


# One changed byte.


def test_one_changed_character_of_a_report_is_named(second_run: Path, tmp_path: Path) -> None:
    """Seeded positions over all reports, through the command as it is installed."""
    random_source = random.Random(20261122)
    target = tmp_path / "report.json"
    said: dict[str, Any] = {}
    for _ in range(POSITIONS):
        data = bytearray(random_source.choice(reports(second_run)).read_bytes())
        position = random_source.randrange(len(data))
        data[position] ^= random_source.choice([1, 2, 4, 16])
        target.write_bytes(data)
        arguments = ["verify", str(target), "--policy", str(second_run / "ledger" / "policy"), "--json"]
        result = CliRunner().invoke(report_command, arguments)
        assert result.exit_code == 1, f"position {position}: {result.output}"
        said = json.loads(result.output)
        assert said["valid"] is False
        assert said["failures"]
        for failure in said["failures"]:
            assert failure["check"] in CHECK_TEXTS
            assert failure["reason"]
    done = hedui("report", "verify", target, "--policy", second_run / "ledger" / "policy")
    assert done.returncode == 1
    assert said["failures"][0]["check"] in done.stdout


def public_files(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def test_one_changed_byte_of_any_file_of_the_public_log_is_found(second_run: Path, tmp_path: Path) -> None:
    random_source = random.Random(20261122)
    pinned = (second_run / "ledger" / "policy").read_bytes()
    folder = shutil.copytree(second_run / "ledger", tmp_path / "ledger")
    keep_a_quorum(folder)
    tried = 0
    for path in public_files(folder):
        data = path.read_bytes()
        for position in {0, len(data) - 1, *(random_source.randrange(len(data)) for _ in range(4))}:
            changed = bytearray(data)
            changed[position] ^= 1
            path.write_bytes(changed)
            with pytest.raises(LedgerError):
                verify_folder(folder, policy=pinned)
            tried += 1
        path.write_bytes(data)
    assert tried > 4
    verify_folder(folder, policy=pinned)
    path = next(path for path in public_files(folder) if "entries" in path.parts)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    done = hedui("ledger", "verify", folder)
    assert done.returncode == 1
    assert done.stderr.startswith("hedui: ")


def keep_a_quorum(folder: Path) -> None:
    """Take off surplus cosignatures: one that names an unknown witness is ignored, as C2SP says."""
    policy = Policy.parse((folder / "policy").read_text("utf-8"))
    lines = (folder / "checkpoint").read_text("utf-8").splitlines(keepends=True)
    cosigned = [line for line in lines if line.startswith("— witness.")]
    kept = [line for line in lines if line not in cosigned[policy.quorum :]]
    (folder / "checkpoint").write_text("".join(kept), encoding="utf-8")


def test_a_missing_file_of_the_public_log_is_found(second_run: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(second_run / "ledger", tmp_path / "ledger")
    for path in list(public_files(folder)):
        data = path.read_bytes()
        path.unlink()
        with pytest.raises(LedgerError):
            verify_folder(folder)
        path.write_bytes(data)
    verify_folder(folder)


# A dictionary.


def people(scenario: Path) -> tuple[set[str], set[str]]:
    """Every identifier in every form of the scenario, and every name of a household."""
    found: set[str] = set()
    names: set[str] = set()
    for path in (scenario / "cases").glob("*.json"):
        for member in json.loads(path.read_text("utf-8"))["household"]:
            found.add(str(member["id"]))
            names.add(str(member["name"]))
    for dataset in declared(scenario):
        for row in plain_arithmetic.table(scenario, dataset):
            found.add(str(row[dataset["identifier"]]))
    valid = {person for text in found if (person := plain_arithmetic.person(text)) is not None}
    return valid, names


def declared(scenario: Path) -> list[dict[str, Any]]:
    network = tomllib.loads((scenario / "network.toml").read_text(encoding="utf-8"))
    return [item for member in network["member"] for item in member.get("dataset", [])]


def foreign_files(out: Path, scenario: Path) -> list[Path]:
    """All files of a run, but the scenario, the registrar's store and the office's openings."""
    office = out / "members" / office_of(scenario) / "openings"
    consents = re.compile(r"node\.db(-journal|-wal|-shm)?")
    registrars = [
        path.parent for path in out.glob("members/*/card.json") if '"registrar"' in path.read_text("utf-8")
    ]
    assert len(registrars) == 1
    kept = []
    for path in out.rglob("*"):
        inside_own = office in path.parents or (
            path.parent == registrars[0] and consents.fullmatch(path.name) is not None
        )
        if path.is_file() and not inside_own and out / "scenario" not in path.parents:
            kept.append(path)
    return kept


def test_no_identifier_and_no_name_in_any_file_outside_its_home(run: Run) -> None:
    out, scenario = run
    identifiers, names = people(scenario)
    assert len(identifiers) > 30
    written = identifiers | {text[:6] + text[8:17] for text in identifiers if text[6:8] == "19"}
    digits = re.compile(rb"(?=([0-9]{17}[0-9Xx]))|(?=([0-9]{15}))")
    files = foreign_files(out, scenario)
    assert any(path.name == "node.log" for path in files)
    for path in files:
        data = path.read_bytes()
        runs = {(match[1] or match[2]).decode().upper() for match in digits.finditer(data)}
        runs |= {match[2].decode() for match in re.finditer(rb"(?=(([0-9]{15})))", data)}
        assert not runs & written, f"{path} holds an identifier"
        for name in names:
            assert name.encode() not in data, f"{path} holds a name"


def forms(identifier: str) -> Iterator[bytes]:
    """Forms of an identifier that an attacker would hash."""
    yield from (
        identifier.encode(),
        identifier.lower().encode(),
        f"CN-RID:{identifier}".encode(),
        identifier.encode("utf-16-le"),
        (identifier + "\n").encode(),
    )
    if identifier[6:8] == "19":
        yield (identifier[:6] + identifier[8:17]).encode()


HASHES = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "sm3", "blake2b")


def digests(text: bytes) -> Iterator[bytes]:
    """What a hash without a secret makes of it."""
    for name in HASHES:
        try:
            yield hashlib.new(name, text).digest()
        except ValueError:
            assert name == "sm3", f"this Python lacks {name}"
    yield hashlib.sha256(hashlib.sha256(text).digest()).digest()
    for key in (b"", b"hedui", b"hedui/tag/v1"):
        yield hmac.digest(key, text, "sha256")


def test_a_dictionary_of_everybody_finds_nothing(run: Run) -> None:
    """No digest without a secret of any identifier, raw, in hex or base64, in any file outside its home."""
    out, scenario = run
    raw: set[bytes] = set()
    texts: set[bytes] = set()
    for identifier in people(scenario)[0]:
        for form in forms(identifier):
            for digest in digests(form):
                raw.add(digest[:8])
                texts.add(digest.hex()[:12].encode())
                texts.add(digest.hex()[:12].upper().encode())
                texts.add(base64.b64encode(digest)[:12])
                texts.add(base64.urlsafe_b64encode(digest)[:12])
    planted = b"..." + hashlib.sha256(min(people(scenario)[0]).encode()).digest() + b"..."
    assert found_in(planted, raw, 8), "the search works"
    assert found_in(planted.hex().encode(), texts, 12), "in hex too"
    for path in foreign_files(out, scenario):
        data = path.read_bytes()
        assert not found_in(data, raw, 8), f"{path} holds a digest of an identifier"
        assert not found_in(data, texts, 12), f"{path} holds a written digest of an identifier"


def found_in(data: bytes, needles: set[bytes], width: int) -> set[bytes]:
    """Those of the needles, all of this width, that stand anywhere in the data."""
    return needles & {data[at : at + width] for at in range(len(data) - width + 1)}


def test_no_single_amount_in_what_leaves_a_department(run: Run) -> None:
    """Reports and ledger say totals; a total over one row is that row's amount, and only there."""
    out, scenario = run
    amounts = {
        abs(fen)
        for dataset in declared(scenario)
        if dataset["kind"] == "amount"
        for fen in plain_arithmetic.published(scenario, dataset).values()
    }
    summary = json.loads((out / "summary.json").read_text("utf-8"))
    totals = {abs(row["net_fen"]) for row in summary if row["net_fen"] is not None}
    distinctive = {amount for amount in amounts - totals if amount >= 100_000}
    assert len(distinctive) >= 5
    numbers = re.compile(r"(?<![0-9a-fA-F.])([0-9][0-9,]*(?:\.[0-9]{1,2})?)(?![0-9a-fA-F])")
    for path in foreign_files(out, scenario):
        if path.suffix not in {".json", ".html", ".log"} and "ledger" not in path.parts:
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        for match in numbers.finditer(text):
            plain = match[1].replace(",", "")
            fen = {int(float(plain) * 100 + 0.5)} if "." in plain else {int(plain)}
            assert not fen & distinctive, f"{path} holds a single amount"


def test_pages_mask_identifiers(run: Run) -> None:
    out, scenario = run
    identifiers = people(scenario)[0]
    for path in (out / "reports").glob("*.html"):
        text = path.read_text("utf-8")
        assert not any(identifier in text for identifier in identifiers)
    assert len(list((out / "reports").glob("*.html"))) == len(reports(out))
