"""Trust policies of a reader: given on the command line or pinned in the user's folder, never from a report.

A file holds the text of a policy, or is a ``network.json`` with the policy in its field ``policy``, as every
node's home has one. A single file is used as given. In a folder, every file that parses as a policy is used
and hidden files are skipped; a report or log is verified under the policy whose fingerprint it names. The
fingerprint only chooses among the policies that the reader has put there. A file that cannot be read is an
error, and so is a folder of pinned files of which none parses, since the reader would otherwise lose a policy
without notice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ledger.errors import PolicyError
from ledger.formats.policy import Policy
from node.errors import UsageError

PINNED = "policies"
MAX_POLICY_BYTES = 1 << 20


def trusted_policy(given: Path | None, user_folder: Path, named: str) -> Policy | None:
    """The policy to verify under; None if the reader's folder has no policy with the named fingerprint.

    Args:
        given: a file or folder, or None for the pinned ones.
        user_folder: the user's configuration folder; pinned policies lie in its ``policies``.
        named: fingerprint that the report or log names; it only chooses among the reader's own policies.

    Raises:
        UsageError: no policy is given or pinned, or the given file is not a policy.
    """
    place = user_folder / PINNED if given is None else given
    if place.is_file():
        return _read(place)
    policies = pinned_policies(user_folder) if given is None else list(_policies(place))
    if not policies:
        where = f"pinned in {place}" if given is None else f"in {place}"
        raise UsageError(f"no trust policy is {where}: give the network's with --policy, or pin it")
    return next((policy for policy in policies if policy.fingerprint == named), None)


def pinned_policies(user_folder: Path) -> list[Policy]:
    """Every policy that the user has pinned; empty if there is no such folder.

    Raises:
        UsageError: a file there cannot be read, or there are files but no policy among them.
    """
    place = user_folder / PINNED
    policies = list(_policies(place))
    if not policies and _files(place):
        raise UsageError(f"{place} holds files, and none is a trust policy: correct them, or remove them")
    return policies


def _policies(folder: Path) -> Iterator[Policy]:
    """Every policy among the files of a folder; other files are skipped.

    Raises:
        UsageError: a file cannot be read.
    """
    for path in _files(folder):
        try:
            yield _read(path)
        except UsageError as error:
            if isinstance(error.__cause__, OSError):
                raise


def _files(folder: Path) -> list[Path]:
    """The files of a folder that are not hidden, in order; empty if there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _read(path: Path) -> Policy:
    """One policy file.

    Raises:
        UsageError: the file cannot be read or is not a policy.
    """
    try:
        data = path.read_bytes()
        if len(data) > MAX_POLICY_BYTES:
            raise UsageError(f"{path} is too large for a trust policy")
        return Policy.parse(_text(data.decode()))
    except (OSError, UnicodeDecodeError, PolicyError) as error:
        raise UsageError(f"{path} is no trust policy: {error}") from error


def _text(text: str) -> str:
    """The policy's text itself, or that in a network file."""
    if not text.lstrip().startswith("{"):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    policy = value.get("policy") if isinstance(value, dict) else None
    return policy if isinstance(policy, str) else text
