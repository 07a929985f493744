"""The compose files: every service confined, every reference there, the founding's commands real ones."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from node.home import Home
from node.membership.network import NetworkFile, read_card

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
SOME = ("audit", "office", "tax")
FILES = ("compose.yaml", "compose.fabric.yaml")
READ = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)"


def interpreter() -> str | None:
    """A Python that has PyYAML: this one, or the system's."""
    if importlib.util.find_spec("yaml") is not None:
        return sys.executable
    for candidate in ("/usr/bin/python3", "/usr/local/bin/python3"):
        if Path(candidate).exists():
            done = subprocess.run([candidate, "-c", "import yaml"], capture_output=True, check=False)
            if done.returncode == 0:
                return candidate
    return None


def read(name: str) -> dict[str, Any]:
    found = interpreter()
    if found is None:
        pytest.skip("compose files: no Python here has PyYAML (Debian: apt-get install python3-yaml)")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    text = subprocess.run(
        [found, "-c", READ, str(DOCKER / name)], capture_output=True, text=True, check=True, env=environment
    ).stdout
    value: dict[str, Any] = json.loads(text)
    return value


def members() -> list[str]:
    return [line.split()[0] for line in (DOCKER / "members").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("name", FILES)
def test_every_service_is_confined(name: str) -> None:
    for service, value in read(name)["services"].items():
        assert value["read_only"] is True, service
        assert value["cap_drop"] == ["ALL"], service
        assert value["security_opt"] == ["no-new-privileges:true"], service
        assert any(mount.startswith("/tmp:") and "noexec" in mount for mount in value["tmpfs"]), service
        assert "privileged" not in value
        assert not {"PGPASSWORD", "HEDUI_PASSPHRASE", "POSTGRES_PASSWORD"} & set(value.get("environment", {}))


@pytest.mark.parametrize("name", FILES)
def test_every_reference_is_there(name: str) -> None:
    whole = read(name)
    volumes, secrets = whole.get("volumes", {}), whole.get("secrets", {})
    for service, value in whole["services"].items():
        for mount in value.get("volumes", []):
            source = mount.split(":")[0]
            written = source.startswith(("./fabric/crypto", "./fabric/chaincode-org"))
            found = source in volumes or (source.startswith("./") and (DOCKER / source).exists())
            assert found or written, f"{service}: {mount}"
        for secret in value.get("secrets", []):
            assert (secret if isinstance(secret, str) else secret["source"]) in secrets, service
        for other in value.get("depends_on", {}):
            assert other in whole["services"], service
        for network in value.get("networks", []):
            assert network in whole["networks"], service
        if "build" in value:
            assert (DOCKER / value["build"]["context"] / value["build"]["dockerfile"]).is_file()
    for secret in secrets.values():
        assert secret["file"].startswith("./secrets/")


def test_every_member_has_its_service_volume_and_secrets() -> None:
    whole = read("compose.yaml")
    assert [name for name in whole["services"] if name != "postgres"] == members()
    for member in members():
        value = whole["services"][member]
        assert value["volumes"] == [f"{member}:/var/lib/hedui", "exchange:/exchange"]
        assert [(each["source"], each["target"]) for each in value["secrets"]] == [
            (f"{member}_passphrase", "passphrase"), (f"{member}_database", "database"),
        ]  # fmt: skip
        assert f"{member}_database" in whole["services"]["postgres"]["secrets"]


@pytest.mark.skipif(shutil.which("docker") is None, reason="docker compose config: no docker command here")
@pytest.mark.parametrize("name", FILES)
def test_docker_compose_accepts_the_file(name: str, tmp_path: Path) -> None:
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("docker compose config: this docker has no compose")
    shutil.copytree(DOCKER, tmp_path / "docker")
    subprocess.run(["sh", "secrets.sh"], cwd=tmp_path / "docker", check=True)
    command = ["docker", "compose", "-f", name, "config", "--quiet"]
    subprocess.run(command, cwd=tmp_path / "docker", check=True)


def test_the_build_context_holds_what_the_dockerfile_takes() -> None:
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line[:1] == "!"
    }
    for name in allowed:
        assert (ROOT / name).exists(), name
    dockerfile = (DOCKER / "Dockerfile").read_text("utf-8")
    taken = re.findall(r"requirements/\w+\.txt", dockerfile)
    assert set(taken) <= allowed
    assert {"node", "protocols", "ledger", "keys", "adapters", "pyproject.toml"} <= allowed


def test_secrets_are_drawn_once_and_closed(tmp_path: Path) -> None:
    shutil.copytree(DOCKER, tmp_path / "docker", ignore=shutil.ignore_patterns("secrets"))
    for _ in range(2):
        subprocess.run(["sh", "secrets.sh"], cwd=tmp_path / "docker", check=True)
        folder = tmp_path / "docker" / "secrets"
        found = {path.name: path.read_text() for path in folder.iterdir()}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert set(found) == {"postgres"} | {f"{m}_{w}" for m in members() for w in ("passphrase", "database")}
    assert all(re.fullmatch("[0-9a-f]{64}", text) for text in found.values())
    assert len(set(found.values())) == len(found)


COMPOSE = """#!/bin/sh
# Stands for docker compose: a member's container is a folder; the sum key and what needs nodes is noted only.
case "$*" in *sumkey*) echo "$@" >>"$FOLDER/later"; exit 0 ;; esac
[ "$1" = run ] || { echo "$@" >>"$FOLDER/later"; exit 0; }
shift
command="$PYTHON -m node.cli"
while case "$1" in --*) true ;; *) false ;; esac; do
    if [ "$1" = --entrypoint ]; then command=$2; shift; fi
    shift
done
member=$1
shift
mkdir -p "$FOLDER/$member" "$FOLDER/exchange"
n=$#
while [ $n -gt 0 ]; do
    argument=$(printf %s "$1" | sed "s|/var/lib/hedui|$FOLDER/$member|; s|^/exchange|$FOLDER/exchange|
        s|/run/secrets/passphrase|$FOLDER/docker/secrets/${member}_passphrase|
        s|/run/secrets/database|$FOLDER/docker/secrets/${member}_database|")
    set -- "$@" "$argument"
    shift
    n=$((n - 1))
done
cd "$ROOT" && exec $command "$@"
"""


def test_the_founding_founds(tmp_path: Path) -> None:
    """found.sh with folders for containers, for three of the members: they join one network."""
    shutil.copytree(DOCKER, tmp_path / "docker", ignore=shutil.ignore_patterns("secrets"))
    lines = (DOCKER / "members").read_text("utf-8").splitlines(keepends=True)
    some = [line for line in lines if line.split()[0] in SOME]
    (tmp_path / "docker" / "members").write_text("".join(some), encoding="utf-8")
    compose = tmp_path / "compose"
    compose.write_text(COMPOSE, encoding="utf-8")
    compose.chmod(0o755)
    environment = {
        **os.environ, "COMPOSE": str(compose), "FOLDER": str(tmp_path), "ROOT": str(ROOT), "EPOCH": "2026-11",
        "PYTHON": sys.executable, "SUITE": "paillier-2048-test", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    command = ["sh", str(tmp_path / "docker" / "found.sh")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    networks = {NetworkFile.read(Home(tmp_path / member / "node").network).genesis for member in SOME}
    assert len(networks) == 1
    card = read_card(tmp_path / "tax" / "node" / "card.json")
    assert card["endpoint"] == "tax:7401"
    toml = (tmp_path / "tax" / "node" / "node.toml").read_text("utf-8")
    assert "postgresql+psycopg://tax@postgres:5432/tax?password_file=" in toml
    assert (tmp_path / "docker/secrets/tax_database").read_text() not in toml
    later = (tmp_path / "later").read_text()
    steps = ["sumkey deal", "sumkey install", "up --detach --wait", "sumkey sign", "sumkey publish"]
    assert [later.index(step) for step in steps] == sorted(later.index(step) for step in steps)
