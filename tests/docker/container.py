"""The image, built without an engine, and its commands run as an engine would run them.

buildah builds with chroot isolation on a base system from a tar file. A command then runs in a mount
namespace of its own: the image's root read-only, /tmp a tmpfs and the volume a folder, neither of which lets
anything be executed, as the image's user, without a way to new privileges, with its environment alone.
"""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
NAME = "localhost/hedui-test"
BASE = "localhost/hedui-test-base"
VOLUME = "var/lib/hedui"

ENTER = """
root=$1 volume=$2 user=$3
shift 3
mount --bind "$root" "$root"
mount -o remount,bind,ro,nosuid "$root"
mount -t tmpfs -o noexec,nosuid,nodev,size=64m tmpfs "$root/tmp"
mount --bind "$volume" "$root/var/lib/hedui"
mount -o remount,bind,noexec,nosuid,nodev "$root/var/lib/hedui"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
cd /
exec setpriv --no-new-privs --bounding-set=-all,+setuid,+setgid,+sys_chroot \\
    chroot --userspec="$user" --groups= "$root" /usr/bin/env -i "$@"
"""


@dataclass(frozen=True)
class Image:
    """The built image.

    Attributes:
        root: its file system, mounted.
        config: Docker's configuration of it.
    """

    root: Path
    config: dict[str, Any]

    def command(self, volume: Path, *arguments: str) -> list[str]:
        """What runs a command of the image."""
        user, environment = self.config["User"], self.config["Env"]
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", ENTER, "sh"]
        return [*enter, str(self.root), str(volume), user, *environment, *arguments]

    def run(self, volume: Path, *arguments: str, seconds: int = 60) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(volume, *arguments), capture_output=True, text=True, timeout=seconds, check=False
        )


def _driver(probe: Path) -> str:
    """``overlay`` where this file system can, else ``vfs``, which copies every layer."""
    options = ["--root", str(probe / "store"), "--runroot", str(probe / "run"), "--storage-driver", "overlay"]
    done = subprocess.run(["buildah", *options, "info"], capture_output=True, check=False)
    return "overlay" if done.returncode == 0 else "vfs"


class Builder:
    """buildah over a store of its own."""

    def __init__(self, folder: Path) -> None:
        folders = ["--root", str(folder / "store"), "--runroot", str(folder / "run")]
        self._buildah = ["buildah", *folders, "--storage-driver", _driver(folder / "probe")]
        self._folder = folder

    def __call__(self, *arguments: object) -> str:
        """One command of buildah; its output."""
        done = subprocess.run(
            [*self._buildah, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT
        )
        assert done.returncode == 0, f"buildah {arguments[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout.strip()

    def build(self, base: Path) -> Image:
        """The image from this repository's Dockerfile, as committed files and local changes are."""
        self._import(base)
        options = ["--isolation", "chroot", "--format", "docker", "--build-arg", f"BASE={BASE}"]
        self("build", *options, "-f", "docker/Dockerfile", "-t", NAME, ".")
        container = self("from", "--pull-never", NAME)
        found = json.loads(self("inspect", "--type", "image", NAME))
        return Image(Path(self("mount", container)), found["Docker"]["config"])

    def _import(self, base: Path) -> None:
        """The base system, with the authorities this machine trusts for the package index."""
        container = self("from", "scratch")
        self("add", "-q", container, base, "/")
        authorities = ssl.get_default_verify_paths().cafile
        if authorities is None:
            authorities = "/etc/ssl/certs/ca-certificates.crt"
        self("copy", "-q", container, Path(authorities).resolve(), "/authorities.pem")
        self("config", "--env", "PIP_CERT=/authorities.pem", container)
        self("commit", "-q", "--rm", container, BASE)

    def close(self) -> None:
        """Remove everything."""
        subprocess.run([*self._buildah, "umount", "--all"], capture_output=True, check=False)
        subprocess.run([*self._buildah, "rm", "--all"], capture_output=True, check=False)
        shutil.rmtree(self._folder, ignore_errors=True)
