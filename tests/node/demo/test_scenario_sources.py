"""The departments' adapters read out of the raw files exactly what plain arithmetic does."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from adapters.dataset import read_dataset
from node.demo.scenario.generate import generate
from node.demo.scenario.load import load
from tests.node.demo import plain_arithmetic, second_scenario


@pytest.mark.parametrize("kind", ["generated", "messier"])
def test_adapters_agree_with_plain_arithmetic(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "scenario"
    if kind == "generated":
        generate(folder, residents=1500, cases=16)
    else:
        second_scenario.build(folder)
    network = tomllib.loads((folder / "network.toml").read_text(encoding="utf-8"))
    raw = {item["id"]: item for member in network["member"] for item in member.get("dataset", [])}
    for dataset in load(folder).datasets.values():
        with read_dataset(dataset.spec(folder)) as prepared:
            read = {key.decode().removeprefix("CN-RID:"): fen or 0 for key, fen in prepared}
        assert read == plain_arithmetic.published(folder, raw[dataset.id]), dataset.id
