from __future__ import annotations

import collections
import tomllib
from pathlib import Path
from random import Random

import pytest

from node.demo.scenario.exports import EXPORTS
from node.demo.scenario.generate import generate
from node.demo.scenario.load import load
from node.demo.scenario.people import ADULTS, CHILDREN, PLOTS, STANDARD_FEN, broken, identifier, messy
from node.validation.documents import ScenarioError
from tests.node.demo import plain_arithmetic, second_scenario

OUTCOMES = {
    "dibao": "dibao",
    "edge": "edge",
    "none": "none",
    "vehicle": "vetoed",
    "custody": "dibao",
    "no consent": "no_consent",
    "all in custody": "incomplete",
    "at the standard": "dibao",
    "one fen above": "edge",
    "at 1.5 times": "none",
    "a loss": "dibao",
    "no rows": "dibao",
    "two homes": "vetoed",
    "company": "vetoed",
    "deceased": "dibao",
    "invalid identifier": "incomplete",
}


@pytest.mark.parametrize(
    ("residents", "cases", "seed"), [(2000, 12, 1), (0, 48, 2), (300, 32, 3), (90, 1, 4)]
)
def test_each_case_has_the_outcome_of_its_plot(tmp_path: Path, residents: int, cases: int, seed: int) -> None:
    folder = generate(tmp_path / "county", residents=residents, cases=cases, seed=seed)
    found = plain_arithmetic.expected(folder)
    assert len(found) == cases
    for number in range(cases):
        plot = PLOTS[number % len(PLOTS)]
        result = found[f"2026-{number + 1:06d}"]
        assert result.outcome == OUTCOMES[plot.name], plot.name
        if result.heads is not None:
            assert result.heads == len(plot.counted)
        if plot.net is None:
            assert result.net_fen == 0
        elif plot.net[0] == plot.net[1]:
            annual = STANDARD_FEN * 12 * len(plot.counted)
            assert result.net_fen == annual * plot.net[0] // 1000 + plot.extra_fen
        if plot.name == "a loss":
            assert result.net_fen is not None
            assert result.net_fen < 0


def test_a_generated_folder_loads(tmp_path: Path) -> None:
    scenario = load(generate(tmp_path / "county", residents=100, suite="paillier-2048-test"))
    assert (scenario.network, scenario.epoch, scenario.suite) == ("s-county", "2026-11", "paillier-2048-test")
    assert [member.id for member in scenario.with_role("sequencer")] == ["audit"]
    assert len(scenario.members) == 11
    assert set(scenario.datasets) == set(scenario.rules["dibao@2026.1"].datasets)
    assert len(scenario.cases) == 12


def test_the_same_seed_gives_the_same_county(tmp_path: Path) -> None:
    for name in ("a", "b"):
        generate(tmp_path / name, residents=200, seed=5)
    generate(tmp_path / "c", residents=200, seed=6)
    for export in EXPORTS:
        if export.scheme == "csv":
            same = [(tmp_path / name / export.path).read_bytes() for name in ("a", "b", "c")]
            assert same[0] == same[1] != same[2]


def test_every_source_holds_messy_and_bad_rows(tmp_path: Path) -> None:
    folder = generate(tmp_path / "county", residents=5000)
    network = tomllib.loads((folder / "network.toml").read_text(encoding="utf-8"))
    forms: collections.Counter[str] = collections.Counter()
    for dataset in (item for member in network["member"] for item in member.get("dataset", [])):
        for row in plain_arithmetic.table(folder, dataset):
            text = str(row[dataset["identifier"]])
            found = plain_arithmetic.person(text)
            forms[
                "bad" if found is None else "plain" if found == text else text.strip()[:1] + str(len(text))
            ] += 1
    assert forms["bad"] > 3
    assert len(forms) > 5


def test_residents_are_distinct_and_valid() -> None:
    for pool in (ADULTS, CHILDREN):
        ids = [identifier(pool, number, 7) for number in range(pool.days - 50, pool.days + 50)]
        assert len(set(ids)) == 100
        assert [plain_arithmetic.person(identity) for identity in ids] == ids


def test_messy_forms_mean_the_same_person_and_broken_ones_nobody() -> None:
    rng = Random(1)
    for number in range(300):
        identity = identifier(ADULTS, number, 3)
        assert plain_arithmetic.person(messy(identity, rng)) == identity
        assert plain_arithmetic.person(broken(identity, rng)) is None


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ScenarioError, match="is not empty"):
        generate(tmp_path)
    with pytest.raises(ScenarioError, match="cases: give a number"):
        generate(tmp_path / "new", cases=0)


def test_the_messier_scenario_is_what_it_says(tmp_path: Path) -> None:
    folder = second_scenario.build(tmp_path / "messier")
    found = plain_arithmetic.expected(folder)
    assert {case: result[:3] for case, result in found.items()} == second_scenario.EXPECTED
    assert len(load(folder).cases) == len(second_scenario.EXPECTED)
