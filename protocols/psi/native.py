"""Loading of libsodium's ristretto255 from the ``rbcl`` package; only ``protocols.psi.group`` uses this.

``rbcl`` carries libsodium 1.0.18 inside a Python file, writes it to the temporary folder when imported, loads
it and leaves the 2.8 MB file behind. ``load`` imports it at the first call, never at import of this module,
removes the file once it is mapped, and binds the C functions with their types. Where that folder lets nothing
be executed, as a container's should not, the same bytes are taken from ``rbcl``'s file and loaded from memory
(``memfd_create``, Linux). A call through ``ctypes`` costs about half a microsecond and releases the
interpreter lock.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import importlib.util
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from protocols.errors import ProtocolError

_LIBRARY = re.compile(r"bytes\.fromhex\('([0-9a-f]+)'\)")
_PREFIX = "crypto_core_ristretto255_"
_OUT, _IN = ctypes.c_void_p, ctypes.c_char_p


class GroupLibraryError(ProtocolError):
    """The native ristretto255 library cannot be loaded on this machine."""

    code = "group_library"


@dataclass(frozen=True)
class Native:
    """The C functions of libsodium; each returns 0, or -1 for a refused input or an identity result.

    Outputs are addresses of 32 writable bytes; inputs are ``bytes`` of exactly the length C reads: 32, or 64
    for ``from_hash``. The caller checks lengths. ``is_valid`` returns 1 for a canonical encoding, the
    identity included.
    """

    multiply: Callable[[int, bytes, bytes], int]
    multiply_base: Callable[[int, bytes], int]
    from_hash: Callable[[int, bytes], int]
    add: Callable[[int, bytes, bytes], int]
    subtract: Callable[[int, bytes, bytes], int]
    invert: Callable[[int, bytes], int]
    is_valid: Callable[[bytes], int]


@functools.cache
def load() -> Native:
    """Load the library once in this process and remove the file it was loaded from.

    Raises:
        GroupLibraryError: ``rbcl`` is not installed, or the temporary folder is missing, full, read-only or
            mounted noexec.
    """
    try:
        library = importlib.import_module("rbcl.rbcl")._sodium  # noqa: SLF001 - rbcl has no public name for it
    except ImportError as error:
        raise GroupLibraryError(
            "the package rbcl is not installed: install hedui with its dependencies"
        ) from error
    except OSError as error:
        _remove_leftover(error)
        with contextlib.suppress(OSError, AttributeError):
            return _bind(_from_memory())
        raise GroupLibraryError(
            f"libsodium cannot be loaded from the temporary folder {_folder()}: set TMPDIR to a folder that "
            "is writable and not mounted noexec"
        ) from error
    path, handle = library._name, library._handle  # noqa: SLF001 - documented by ctypes under these names
    Path(path).unlink(missing_ok=True)
    return _bind(ctypes.CDLL(path, handle=handle))


def _from_memory() -> ctypes.CDLL:
    """The library from a file that exists in memory only.

    Raises:
        OSError, AttributeError: this system has no such files, lets none be executed, or ``rbcl`` is another.
    """
    spec = importlib.util.find_spec("rbcl")
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    for folder in folders:
        text = (Path(folder) / "_sodium.py").read_text("ascii")
        found = _LIBRARY.search(text)
        if found is not None:
            return _loaded(bytes.fromhex(found[1]))
    raise OSError("rbcl holds its library elsewhere")


def _loaded(data: bytes) -> ctypes.CDLL:
    """A library from its bytes, initialised."""
    descriptor = os.memfd_create("libsodium")
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        library = ctypes.CDLL(f"/proc/self/fd/{descriptor}")
    if library.sodium_init() < 0:
        raise OSError("libsodium cannot be initialised")
    return library


def _bind(library: ctypes.CDLL) -> Native:
    """Bind on an own handle object, so that rbcl's own function objects keep their types."""

    def function(name: str, *types: type) -> Callable[..., int]:
        bound = library[name]
        bound.argtypes = list(types)
        bound.restype = ctypes.c_int
        return bound

    return Native(
        multiply=function("crypto_scalarmult_ristretto255", _OUT, _IN, _IN),
        multiply_base=function("crypto_scalarmult_ristretto255_base", _OUT, _IN),
        from_hash=function(_PREFIX + "from_hash", _OUT, _IN),
        add=function(_PREFIX + "add", _OUT, _IN, _IN),
        subtract=function(_PREFIX + "sub", _OUT, _IN, _IN),
        invert=function(_PREFIX + "scalar_invert", _OUT, _IN),
        is_valid=function(_PREFIX + "is_valid_point", _IN),
    )


def _folder() -> str:
    """Name the temporary folder for a message; there may be none at all."""
    try:
        return tempfile.gettempdir()
    except OSError:
        return "(none usable)"


def _remove_leftover(error: OSError) -> None:
    """Remove the file a failed load left; the loader's message starts with its path."""
    path = Path(str(error).partition(": ")[0])
    if path.suffix == ".so" and str(path.parent) == _folder():
        with contextlib.suppress(OSError):
            path.unlink()
