"""What a demo starts from: a scenario read or generated, a new folder for the result, the ledger's engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from node.config import EMBEDDED, FABRIC
from node.demo import Demo
from node.errors import ConfigurationError
from node.progress import Reporter
from node.scenario.generate import generate
from node.scenario.load import load


def engines(uri: str) -> tuple[str, ...]:
    """Engine URIs of a demo's members: the embedded log, or one Fabric profile an organisation.

    Args:
        uri: ``embedded:`` or ``fabric:FOLDER``; every ``*.toml`` in the folder is a connection profile.

    Raises:
        ConfigurationError: another scheme, or a folder without profiles.
    """
    if uri == EMBEDDED:
        return (EMBEDDED,)
    folder = Path(uri.removeprefix(FABRIC)).resolve()
    profiles = sorted(folder.glob("*.toml"))
    if not uri.startswith(FABRIC) or not profiles:
        raise ConfigurationError(
            f"--ledger is {EMBEDDED} or {FABRIC}FOLDER, a folder with one connection profile (*.toml) an "
            "organisation: see the Fabric guide"
        )
    return tuple(FABRIC + str(profile) for profile in profiles)


def prepare(
    folder: Path | None,
    out: Path,
    residents: int,
    cases: int,
    seed: int,
    suite: str | None,
    reporter: Reporter,
    *,
    ledger: str = EMBEDDED,
) -> Demo:
    """A demo ready to run: the scenario generated or read, the result's folder new.

    Raises:
        ConfigurationError: the result's folder is not empty, the scenario is not well formed, or there is no
        such ledger.
    """
    uris = engines(ledger)
    if out.exists() and not out.is_dir():
        raise ConfigurationError(f"{out} is a file: choose a folder with --out")
    if out.exists() and any(out.iterdir()):
        raise ConfigurationError(
            f"{out} holds an earlier run or other files: remove it, or choose another folder with --out"
        )
    out.mkdir(parents=True, exist_ok=True)
    if folder is None:
        reporter.stage("demo.generate", residents=residents, cases=cases)
        folder = generate(out / "scenario", residents=residents, cases=cases, seed=seed, suite=suite)
    else:
        reporter.stage("demo.load", folder=str(folder))
    scenario = load(folder)
    if suite is not None:
        scenario = replace(scenario, suite=suite)
    return Demo(out.resolve(), scenario, reporter, ledger=uris)
