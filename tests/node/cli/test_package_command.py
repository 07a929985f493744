"""`hedui ledger package`: nothing is replaced, and nothing is written for a label or address of no use."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ledger.fabric.package import package_id
from node.cli.ledger_fabric import package
from node.errors import UsageError

ADDRESS = "chaincode.tax.example:9999"


def run(folder: Path, *more: str, label: str = "hedui_1", address: str = ADDRESS) -> Result:
    return CliRunner().invoke(package, [str(folder), "--label", label, "--address", address, *more])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_second_package_does_not_replace_the_first(tmp_path: Path) -> None:
    done = run(tmp_path / "new")
    written = contents(tmp_path / "new")
    assert done.output == package_id("hedui_1", written["hedui_1.tar.gz"]) + "\n"
    assert sorted(written) == ["ca.pem", "hedui_1.tar.gz", "server.key", "server.pem"]
    assert (tmp_path / "new" / "server.key").stat().st_mode & 0o777 == 0o600
    for again in (run(tmp_path / "new"), run(tmp_path / "new", label="hedui_2")):
        assert isinstance(again.exception, UsageError)
        assert "is there already" in str(again.exception)
    assert contents(tmp_path / "new") == written


@pytest.mark.parametrize("name", ["ca.pem", "server.pem", "server.key", "hedui_1.tar.gz"])
def test_any_file_that_is_there_is_kept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    assert isinstance(run(tmp_path).exception, UsageError)
    assert contents(tmp_path) == {name: b"mine"}


@pytest.mark.parametrize("more", [(), ("--no-tls",)])
@pytest.mark.parametrize(
    "wrong",
    [{"label": "../x"}, {"label": "a b"}, {"address": "host"}, {"address": "h:70000"}, {"address": ":1"}],
)
def test_what_cannot_be_used_leaves_nothing_behind(
    tmp_path: Path, more: tuple[str, ...], wrong: dict[str, str]
) -> None:
    done = run(tmp_path / "new", *more, **wrong)
    assert isinstance(done.exception, UsageError)
    assert next(iter(wrong.values())) in str(done.exception)
    assert not (tmp_path / "new").exists()


def test_a_host_that_no_certificate_can_name(tmp_path: Path) -> None:
    assert isinstance(run(tmp_path / "new", address="H_x:1").exception, UsageError)
    assert not (tmp_path / "new").exists()
