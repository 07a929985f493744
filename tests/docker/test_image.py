"""The image builds from the Dockerfile, and runs as non-root where nothing can be written or executed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.container import Builder, Image
from tests.e2e.shared_network import wait_until

pytestmark = [pytest.mark.image, pytest.mark.xdist_group("image")]
USER = 10001


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    builder = Builder(tmp_path_factory.mktemp("builder"))
    yield builder.build(Path(os.environ["HEDUI_TEST_IMAGE_BASE"]))
    builder.close()


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new volume, owned as the image's folder is."""
    folder = tmp_path_factory.mktemp("volume")
    os.chown(folder, USER, USER)
    return folder


@pytest.fixture(scope="module")
def demo(image: Image, volume: Path) -> Path:
    """A whole run of the demo in the container."""
    options = ("--residents", "200", "--cases", "2", "--suite", "paillier-2048-test")
    done = image.run(volume, "hedui", "demo", "--out", "/var/lib/hedui/demo", *options, seconds=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return volume / "demo"


def test_what_the_image_says_of_itself(image: Image) -> None:
    config = image.config
    assert config["User"] == f"{USER}:{USER}"
    assert config["Entrypoint"] == ["hedui"]
    assert config["Cmd"] == ["node", "run", "/var/lib/hedui/node"]
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "hedui", "node", "status", "/var/lib/hedui/node"]
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert not [name for name in config["Env"] if "PASS" in name or "SECRET" in name]


def test_what_is_in_the_image_and_what_is_not(image: Image) -> None:
    packages = image.root / "opt/hedui/lib"
    names = {path.name for path in packages.rglob("*") if path.parent.name == "site-packages"}
    assert {"node", "ledger", "protocols", "keys", "adapters"} <= names
    assert not names & {"tests", "pip", "pytest", "hatchling"}
    assert not (image.root / "src").exists()
    assert list(packages.rglob("node/__pycache__/answer*.pyc")), "compiled: a read-only root keeps no cache"


def test_commands_run_where_nothing_can_be_written_or_executed(image: Image, volume: Path) -> None:
    assert "node" in image.run(volume, "hedui", "--help").stdout
    assert image.run(volume, "hedui", "--version").returncode == 0
    assert image.run(volume, "sh", "-c", "id -u").stdout.strip() == str(USER)
    assert image.run(volume, "touch", "/opt/hedui/x").returncode != 0
    for folder in ("/tmp", "/var/lib/hedui"):
        done = image.run(volume, "sh", "-c", f"cp /bin/true {folder}/x && {folder}/x")
        assert "Permission denied" in done.stderr
    assert "CapEff:\t0000000000000000" in image.run(volume, "cat", "/proc/self/status").stdout


def test_the_demo_runs_and_its_log_verifies(image: Image, volume: Path, demo: Path) -> None:
    assert len(list((demo / "reports").glob("*.json"))) == 2
    done = image.run(volume, "hedui", "ledger", "verify", "/var/lib/hedui/demo/ledger")
    assert done.returncode == 0, done.stderr


def test_health_follows_the_node(image: Image, volume: Path, demo: Path) -> None:
    """The image's own command and health check; SIGTERM ends the node in good order."""
    shutil.copytree(demo / "members" / "tax", volume / "node")
    for path in (volume / "node", *(volume / "node").rglob("*")):
        os.chown(path, USER, USER)
    health = image.config["Healthcheck"]["Test"][1:]
    assert image.run(volume, *health).returncode != 0
    process = subprocess.Popen(
        image.command(volume, *image.config["Entrypoint"], *image.config["Cmd"]), stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: image.run(volume, *health).returncode == 0, "the node is healthy")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert image.run(volume, *health).returncode != 0
    finally:
        process.kill()
        process.wait()


def test_a_backup_is_made_and_restored_in_the_container(image: Image, volume: Path, demo: Path) -> None:
    home, file = "/var/lib/hedui/demo/members/sib", "/var/lib/hedui/sib.backup"
    done = image.run(volume, "hedui", "node", "backup", home, file)
    assert done.returncode == 0, done.stderr
    words = f"{home}/keys/passphrase"
    arguments = (file, "/var/lib/hedui/again", "--passphrase-file", words)
    done = image.run(volume, "hedui", "node", "restore", *arguments)
    assert done.returncode == 0, done.stderr
    assert (volume / "again" / "node.db").is_file()
