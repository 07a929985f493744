"""The network's trust file: a c2sp.org/tlog-policy with one log, one flat group of witnesses and its quorum.

    log <vkey of the log; its name is the origin>
    witness <name> <vkey> [<url>]        one per node but the sequencer; then further ones, each with its URL
    group <name> <k>|all|any <witness>…
    quorum <group>

The group holds the witnesses that count. A *further* witness is in no group: the log asks it at its URL and
publishes its cosignature. No quorum needs that cosignature, but a false one is refused.

Parsing follows the specification (spaces and tabs, comments, empty lines, order, opaque non-ASCII octets as
UTF-8). Features that this network does not use (more than one log, nested groups, ``quorum none``) are
refused rather than half supported. ``format`` writes one canonical form, so that equal policies have equal
bytes and fingerprints.

Quorum for n witnesses: f = ⌊(n − 1)/3⌋, k = ⌊(n + f)/2⌋ + 1, never below 2: two quorums share more than f
witnesses, so two different trees of one size can both be cosigned only if more than f witnesses break the
rules.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ledger.errors import NoteError, PolicyError, QuorumError
from ledger.formats.checkpoint import Checkpoint, cosigned_at, verify_signed
from ledger.formats.note import TYPE_COSIGNATURE, TYPE_ED25519, Note, VerifierKey, decimal

GROUP = "witnesses"
"""Name of the group in the canonical form."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SPACES = re.compile(r"[ \t]+")


def quorum_size(witnesses: int) -> int:
    """Cosignatures needed from ``witnesses`` nodes: ⌊(n + f)/2⌋ + 1 with f = ⌊(n − 1)/3⌋, at least 2."""
    faulty = (witnesses - 1) // 3
    return max(2, (witnesses + faulty) // 2 + 1)


@dataclass(frozen=True)
class WitnessKey:
    """One witness of a policy.

    Attributes:
        name: its name in the policy.
        key: vkey of type 0x04.
        url: where it answers, or None.
    """

    name: str
    key: VerifierKey
    url: str | None = None


@dataclass(frozen=True)
class VerifiedCheckpoint:
    """A checkpoint under a policy's quorum.

    Attributes:
        checkpoint: the verified head.
        cosigned: name of each witness that counts → time of its cosignature in POSIX seconds.
        further: the same of the further witnesses; no rule of this network asks for any.
    """

    checkpoint: Checkpoint
    cosigned: Mapping[str, int]
    further: Mapping[str, int] = field(default_factory=dict)

    def quorum_time(self, quorum: int) -> int:
        """The k-th latest cosignature time, for a quorum of k: k witnesses cosigned then or later.

        POSIX seconds.
        """
        return sorted(self.cosigned.values(), reverse=True)[quorum - 1]


@dataclass(frozen=True)
class Policy:
    """The keys that a network trusts.

    Attributes:
        log: the log's vkey, type 0x01; its name is the origin.
        witnesses: the group's members, in the order of the file.
        quorum: number of witnesses that must cosign.
        log_url: where the log is served, or None.
        further: witnesses outside the group, in the order of the file; each has a URL.
    """

    log: VerifierKey
    witnesses: tuple[WitnessKey, ...]
    quorum: int
    log_url: str | None = None
    further: tuple[WitnessKey, ...] = ()

    def __post_init__(self) -> None:
        if self.log.kind != TYPE_ED25519:
            raise PolicyError("a log key has type 0x01")
        listed = self.listed
        if any(witness.key.kind != TYPE_COSIGNATURE for witness in listed):
            raise PolicyError("a witness key has type 0x04: give its cosignature key")
        _check_distinct([witness.name for witness in listed], "witness names")
        raws = [witness.key.public.raw for witness in listed]
        _check_distinct(raws, "witness keys")
        if self.log.public.raw in raws:
            raise PolicyError("the log's key is also a witness's: a log cannot be its own witness")
        if any(witness.url is None for witness in self.further):
            raise PolicyError("a witness outside the group has a URL: add it, or put it into the group")
        if not 1 <= self.quorum <= len(self.witnesses):
            raise PolicyError("the quorum is between 1 and the number of witnesses")

    @classmethod
    def create(
        cls, log: VerifierKey, witnesses: Sequence[VerifierKey], further: Sequence[WitnessKey] = ()
    ) -> Policy:
        """The policy of a network with this log and these witnesses: names from the keys, quorum by the rule.

        Raises:
            PolicyError: fewer than two witnesses, or keys or names that are not distinct.
        """
        members = tuple(WitnessKey(key.name, key) for key in witnesses)
        return cls(log, members, quorum_size(len(members)), further=tuple(further))

    @property
    def listed(self) -> tuple[WitnessKey, ...]:
        """Every witness of the file: those of the group, then the further ones."""
        return self.witnesses + self.further

    @classmethod
    def parse(cls, text: str) -> Policy:
        """Read a policy file.

        Raises:
            PolicyError: malformed, or outside the form this network uses; the line is named.
        """
        if _CONTROL.search(text):
            raise PolicyError("a policy holds no control characters but tab and newline")
        if text and not text.endswith("\n"):
            raise PolicyError("each line of a policy ends in a newline")
        reader = _Reader()
        for number, line in enumerate(text.split("\n"), 1):
            words = [word for word in _SPACES.split(line) if word]
            if words and not words[0].startswith("#"):
                try:
                    reader.line(words)
                except (PolicyError, NoteError) as error:
                    raise PolicyError(f"line {number} of the policy: {error}") from error
        return reader.policy()

    def format(self) -> str:
        """The canonical text: log, witnesses, further ones, one group named ``witnesses``, quorum."""
        lines = [_line("log", self.log.format(), self.log_url)]
        lines += [_line("witness", w.name, w.key.format(), w.url) for w in self.listed]
        lines.append(_line("group", GROUP, str(self.quorum), *(w.name for w in self.witnesses)))
        lines.append(_line("quorum", GROUP))
        return "".join(lines)

    @property
    def fingerprint(self) -> str:
        """Lower-case hex SHA-256 of the canonical text."""
        return hashlib.sha256(self.format().encode("utf-8")).hexdigest()

    @property
    def origin(self) -> str:
        """The log's origin."""
        return self.log.name

    def verify_log(self, note: bytes) -> tuple[Note, Checkpoint]:
        """The note and the checkpoint in it under the log's signature alone.

        Raises:
            NoteError: malformed, another log's, or a false signature by the log.
        """
        parsed = Note.parse(note)
        return parsed, verify_signed(parsed, self.log)

    def verify_checkpoint(self, note: bytes) -> VerifiedCheckpoint:
        """The checkpoint in ``note``, signed by the log and cosigned by a quorum.

        Raises:
            NoteError: malformed, another log's, or a false signature by a known key.
            QuorumError: too few witnesses cosigned; ``missing`` names the others.
        """
        parsed, checkpoint = self.verify_log(note)
        cosigned = _times(parsed, self.witnesses)
        further = _times(parsed, self.further)
        if len(cosigned) < self.quorum:
            missing = [witness.name for witness in self.witnesses if witness.name not in cosigned]
            raise QuorumError(
                f"{len(cosigned)} of {self.quorum} needed witnesses cosigned; missing: {', '.join(missing)}. "
                "Start these nodes, or wait until they answer",
                missing,
            )
        return VerifiedCheckpoint(checkpoint, cosigned, further)


class _Reader:
    """Collects the lines of one policy file."""

    def __init__(self) -> None:
        self._logs: list[tuple[VerifierKey, str | None]] = []
        self._witnesses: dict[str, WitnessKey] = {}
        self._groups: dict[str, tuple[int, tuple[str, ...]]] = {}
        self._quorum: str | None = None

    def line(self, words: list[str]) -> None:
        """Take one line, split into words."""
        keyword, rest = words[0], words[1:]
        if keyword == "log" and len(rest) in (1, 2):
            self._logs.append((VerifierKey.parse(rest[0]), rest[1] if len(rest) == 2 else None))
        elif keyword == "witness" and len(rest) in (2, 3):
            self._define(rest[0])
            key = VerifierKey.parse(rest[1])
            self._witnesses[rest[0]] = WitnessKey(rest[0], key, rest[2] if len(rest) == 3 else None)
        elif keyword == "group" and len(rest) >= 3:
            self._group(rest[0], rest[1], tuple(rest[2:]))
        elif keyword == "quorum" and len(rest) == 1:
            if self._quorum is not None or rest[0] not in self._groups:
                raise PolicyError("one quorum line names a group defined before it")
            self._quorum = rest[0]
        else:
            raise PolicyError("unknown keyword or wrong number of words")

    def policy(self) -> Policy:
        """The policy of the lines taken."""
        if len(self._logs) != 1 or len(self._groups) != 1 or self._quorum is None:
            raise PolicyError("a policy of this network has one log, one group and one quorum line")
        quorum, members = self._groups[self._quorum]
        log, url = self._logs[0]
        counting = tuple(self._witnesses[name] for name in members)
        further = tuple(self._witnesses[name] for name in self._witnesses if name not in members)
        return Policy(log, counting, quorum, url, further)

    def _define(self, name: str) -> None:
        if name == "none" or name in self._witnesses or name in self._groups:
            raise PolicyError("a name is defined once, and `none` never")

    def _group(self, name: str, threshold: str, members: tuple[str, ...]) -> None:
        self._define(name)
        _check_distinct(members, "members of a group")
        if any(member not in self._witnesses for member in members):
            raise PolicyError("a group lists witnesses defined before it")
        fixed = {"all": len(members), "any": 1}
        count = fixed[threshold] if threshold in fixed else decimal(threshold)
        if not 1 <= count <= len(members):
            raise PolicyError("a group's threshold is between 1 and its number of members")
        self._groups[name] = (count, members)


def _times(note: Note, witnesses: Sequence[WitnessKey]) -> dict[str, int]:
    """Name → time of those witnesses that cosigned a note; a false cosignature rejects it."""
    found = ((witness.name, cosigned_at(note, witness.key)) for witness in witnesses)
    return {name: time for name, time in found if time is not None}


def _line(*words: str | None) -> str:
    return " ".join(word for word in words if word is not None) + "\n"


def _check_distinct(values: Sequence[object], what: str) -> None:
    if len(set(values)) != len(values):
        raise PolicyError(f"{what} are listed once")
