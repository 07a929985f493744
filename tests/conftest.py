"""What every test may ask for: third-party vectors, a PostgreSQL database, one Hypothesis profile.

A test that cannot run here is skipped with the reason, and the head of the run says what is missing: nothing
is skipped in silence. The markers are described in pyproject.toml.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest
from sqlalchemy.engine import make_url

from tests.fabric.settings import missing_programs

SHARED = Path(__file__).resolve().parents[2] / "shared"
POSTGRES = os.environ.get("HEDUI_TEST_POSTGRES", "")
IMAGE_BASE = os.environ.get("HEDUI_TEST_IMAGE_BASE", "")

# No deadline: two cores are shared by the workers. In CI the examples are the same every time.
hypothesis.settings.register_profile("hedui", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("hedui")


def missing() -> dict[str, str]:
    """Say what this machine lacks: marker -> reason for the skip."""
    lacks: dict[str, str] = {}
    if not (SHARED / "vectors").is_dir():
        lacks["shared"] = "third-party vectors: there is no ../shared/vectors beside this repository"
    if not POSTGRES:
        lacks["postgres"] = (
            "PostgreSQL: HEDUI_TEST_POSTGRES names no server; `make test` starts one where it can"
        )
    if not IMAGE_BASE:
        lacks["image"] = "the image: HEDUI_TEST_IMAGE_BASE names no base system; `make test-image` builds it"
    if importlib.util.find_spec("phe") is None:
        lacks["interop"] = (
            "python-paillier: phe is not installed; `make test` installs requirements/interop.txt"
        )
    absent = missing_programs()
    if absent:
        lacks["fabric"] = f"a Fabric network: not on the PATH: {', '.join(absent)}"
    if any(importlib.util.find_spec(name) is None for name in ("tlog_scales", "proofbundle")):
        lacks["foreign"] = (
            "checkers of others: tlog-scales or proofbundle is not installed; `make test` installs "
            "requirements/foreign.txt"
        )
    return lacks


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the number of seeds for each named fault point; `make test-long` gives 50."""
    parser.addoption("--fault-seeds", type=int, default=2, metavar="N", help="seeds a named fault point (2)")


def pytest_report_header() -> list[str]:
    """Name at the head of the run what will be skipped, and why."""
    return [f"skipping tests marked {marker!r}: {reason}" for marker, reason in missing().items()]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what cannot run here, by marker."""
    lacks = missing()
    for item in items:
        for marker, reason in lacks.items():
            if item.get_closest_marker(marker) is not None:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def vectors() -> Path:
    """Return the folder of third-party vectors; for tests marked `shared`."""
    return SHARED / "vectors"


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """Give the SQLAlchemy URL of a new, empty PostgreSQL database; for tests marked `postgres`."""
    server = make_url(POSTGRES)
    name = f"test_{secrets.token_hex(8)}"
    plain = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield server.set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
