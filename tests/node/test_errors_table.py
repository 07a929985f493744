"""Every error of every package has a code and a place in the one table; what crosses the wire comes back."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType

import grpc
import pytest

import adapters
import keys
import ledger
import node
import protocols
from adapters.errors import AdapterError
from keys.errors import (
    KeysError,
    SealedFileDamagedError,
    SecretMissingError,
    WrongFilePassphraseError,
    WrongPassphraseError,
)
from ledger.errors import (
    EntryRefusedError,
    ForkError,
    LedgerError,
    MirrorMissingError,
    QuorumError,
    RollbackError,
)
from node import errors
from node.errors import NodeError, RefusalError, ServiceUnavailableError
from node.rpc.status import MAX_DETAILS, grpc_status, raise_from_wire, wire_text
from protocols.errors import ProtocolError
from tests.node.rpc.wire_in_memory import WireError

ROOTS = (NodeError, LedgerError, ProtocolError, AdapterError, KeysError)
PACKAGES = (node, ledger, protocols, adapters, keys)


def modules(package: ModuleType) -> Iterator[ModuleType]:
    """Every module of a package but generated ones, migrations and the command's entry."""
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not re.search(r"_pb2|migrations|__main__", found.name):
            yield importlib.import_module(found.name)


def classes() -> list[type[Exception]]:
    """Every public error class of ours, wherever it is written; a private one never leaves its module."""
    found = {
        value
        for package in PACKAGES
        for module in modules(package)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == module.__name__
        if not value.__name__.startswith("_")
    }
    return sorted(found, key=lambda kind: (kind.__module__, kind.__qualname__))


CLASSES = classes()


def made(kind: type[Exception]) -> Exception:
    """An instance without its constructor."""
    return kind.__new__(kind)


def test_there_are_as_many_as_expected() -> None:
    assert len(CLASSES) > 50
    assert set(ROOTS) <= set(CLASSES)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__qualname__)
def test_each_belongs_to_one_root_and_has_a_code(kind: type[Exception]) -> None:
    assert sum(issubclass(kind, root) for root in ROOTS) == 1
    if not issubclass(kind, RefusalError):
        assert re.fullmatch(r"[a-z][a-z0-9_]*", errors.error_code(made(kind)))
    assert kind.__doc__


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__qualname__)
def test_each_has_a_status_and_an_exit_code(kind: type[Exception]) -> None:
    error = made(kind)
    assert isinstance(error, errors.KNOWN_ERRORS)
    assert errors.exit_code(error) in (1, 2, 3)
    assert grpc_status(error) not in (grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN)


def test_codes_are_each_one_class_of_its_package() -> None:
    """But for a class that only adds a distinction within another's code."""
    own = [kind for kind in CLASSES if "code" in vars(kind)]
    for root in ROOTS:
        codes = [vars(kind)["code"] for kind in own if issubclass(kind, root)]
        assert len(set(codes)) == len(codes)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageError("x"), 2),
        (errors.ConfigurationError("x"), 2),
        (ServiceUnavailableError("x"), 3),
        (RefusalError("grant", "x"), 1),
        (errors.ReportError("x"), 1),
        (errors.StoreError("x"), 3),
        (EntryRefusedError("slot_taken", "x"), 1),
        (QuorumError("x"), 3),
        (ForkError("x"), 1),
        (RollbackError("x"), 1),
        (MirrorMissingError("x"), 2),
        (SecretMissingError("x"), 2),
        (WrongPassphraseError("x"), 2),
        (WrongFilePassphraseError("x"), 1),
        (SealedFileDamagedError("x"), 1),
        (errors.BackupError("x"), 1),
        (errors.JournalError("x"), 1),
        (ProtocolError("x"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exit_statuses(error: Exception, code: int) -> None:
    assert errors.exit_code(error) == code


def test_what_is_no_error_of_ours() -> None:
    assert errors.exit_code(ValueError()) == 1
    assert errors.status_name(ValueError()) == "UNKNOWN"
    assert errors.error_code(ValueError()) == "internal"


def failed(error: Exception) -> WireError:
    return WireError(grpc_status(error), wire_text(error))


def test_a_refusal_crosses_the_wire_with_code_and_remedy() -> None:
    with pytest.raises(RefusalError, match="desk: ask a new question") as caught:
        raise_from_wire(failed(RefusalError("revoked", "ask a new question")), "desk")
    assert caught.value.code == "revoked"


def test_out_of_reach_crosses_the_wire_as_such() -> None:
    stale = ServiceUnavailableError("too old")
    stale.code = "stale_head"
    with pytest.raises(ServiceUnavailableError, match="tax: too old") as caught:
        raise_from_wire(failed(stale), "tax")
    assert caught.value.code == "stale_head"


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        (grpc.StatusCode.UNAVAILABLE, "", "does not answer"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", "does not answer"),
        (grpc.StatusCode.CANCELLED, "", "does not answer"),
        (grpc.StatusCode.UNKNOWN, "Exception calling application: x", "failed"),
        (grpc.StatusCode.INTERNAL, "", "failed"),
    ],
)
def test_failures_that_are_nobodys_refusal(status: grpc.StatusCode, text: str, message: str) -> None:
    with pytest.raises(ServiceUnavailableError, match=message):
        raise_from_wire(WireError(status, text), "tax")


def test_details_are_bounded() -> None:
    assert len(wire_text(RefusalError("x", "y" * 10_000))) == MAX_DETAILS


def test_an_unavailable_service_has_a_code_of_its_own_or_the_common_one() -> None:
    assert ServiceUnavailableError("wait").code == "unavailable"
    stale = ServiceUnavailableError("wait", code="stale_head")
    assert (stale.code, str(stale)) == ("stale_head", "wait")
    assert wire_text(stale) == "stale_head|wait"
    assert ServiceUnavailableError.code == "unavailable"
