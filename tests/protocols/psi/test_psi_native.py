"""Loading of libsodium: nothing stays in the temporary folder, and a refused load names the remedy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from protocols.errors import ProtocolError
from protocols.psi import native

ROOT = Path(__file__).parents[3]

REFUSED_FOLDER = """
import ctypes
def refuse(path):
    raise OSError(f"{path}: failed to map segment from shared object")
ctypes.cdll.LoadLibrary = refuse
"""
REFUSED_LOAD = (
    REFUSED_FOLDER
    + """
import os
os.memfd_create = lambda *_: refuse("memory")
from protocols.psi import group, native
try:
    group.multiply_base([1])
except native.GroupLibraryError as error:
    print(error)
"""
)
"""A folder that is really noexec needs the right to mount one; this gives the loader's own answer instead."""


def run(code: str, folder: Path) -> str:
    environment = {
        **os.environ,
        "TMPDIR": str(folder),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_importing_loads_nothing_and_using_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from protocols.psi import group; print('rbcl' in sys.modules); group.multiply_base([1])"
    )
    assert run(code, tmp_path) == "False"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_execute_is_explained_and_left_clean(tmp_path: Path) -> None:
    message = run(REFUSED_LOAD, tmp_path)
    assert str(tmp_path) in message
    assert "TMPDIR" in message
    assert "noexec" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="files in memory: this system has none")
def test_where_no_folder_can_execute_it_is_loaded_from_memory(tmp_path: Path) -> None:
    code = "from protocols.psi import group; print(group.multiply_base([1, 2])[1].hex())"
    refused = run(REFUSED_FOLDER + code, tmp_path)
    assert refused == run(code, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rbcl.rbcl", None)
    with pytest.raises(native.GroupLibraryError, match="rbcl is not installed") as caught:
        native.load.__wrapped__()
    assert isinstance(caught.value, ProtocolError)
