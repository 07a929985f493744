"""The contract as chaincode: ``append`` and ``find`` over the peer's state.

    append(leaf)   ledger.contract.apply, then the writes; result empty
    find(id)       canonical {leaf: SHA-256 of the leaf, type} of an accepted entry, empty where there is none

``append`` refuses, besides what the contract refuses:

- ``clock``: the entry's time is more than 120 s off the transaction's time stamp, or off this host's clock;
- ``recorded``: exactly this leaf was accepted before; its submitter takes its receipt from its own log;
- ``entry``: the argument is no entry; ``arguments``, ``unknown_function``, ``not_direct``: called otherwise
  than by a client with one leaf. A call from another chaincode would change the state with no leaf to show
  for it. The client's proposal names the chaincode it called, and a peer does not say under which name it
  runs this one: so the server is told its names, and a proxy that passes the client's very arguments on is
  found by the name of the proxy.

Keys are the contract's (``ledger.contract.state``), values canonical JSON; ``id/<entry id>`` carries the
leaf's digest too. Every key read is in the transaction's read set, so two transactions that both count have
not seen different states: the second one is flagged MVCC_READ_CONFLICT, and is endorsed again.

What an accepted entry surely reads is requested at once (``ledger.contract.expected_reads``), since every
request to a peer costs a round trip; an intent would need some forty. Only what members have signed within
the time is read for: an older peer is asked for each key by itself, and any client can name a thousand.

**Hot keys.** An intent, an answer, a release or a close writes only keys that hold its own query id, slot
or entry id, and reads only those and what rare entries write (members, publications, rules, grants). So any
number of them run at once; ``tests/ledger/fabric/test_hot_keys.py`` finds that out from the contract
itself. The lists ``members``, ``datasets``, ``dataset/…`` and ``grants/…`` are written by the rare entries
that add to them; two of those at once are one race and one more endorsement.

**Time.** There is no clock all endorsers share, and a key with the greatest time so far would be the
hottest of all. The chaincode therefore runs the contract at the entry's own time. Every node's replay runs
it at the greatest time of the entries so far, which may be up to 240 s later; only an intent depends on it
(validity of its certificate and grants, period of its slots). An intent at such an edge can be accepted
here and void in the replay. **The replay is the authority**: no node answers a void intent, and the slots it
took stay taken here, which gives away nothing. All state of the replay is state here too, so whatever
depends on a void entry is void as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from typing_extensions import override

from ledger import contract
from ledger.canonical import decode, encode
from ledger.contract import expected_reads, signers
from ledger.contract.replay import Apply
from ledger.contract.state import State
from ledger.contract.view import View
from ledger.entries.entry import Entry, parse
from ledger.entries.times import parse_time
from ledger.errors import EntryError, EntryRefusedError, LogError
from ledger.fabric.shim import Call, Stub, function

CLOCK_SECONDS = 120
NAMES = ("hedui",)
"""Names under which a channel knows this chaincode, where the operator gives no others."""

_VALUE_BYTES = 1 << 24
_VALUE_DEPTH = 16


class InvalidKeyError(LogError):
    """A key that Fabric does not take."""

    code = "invalid_key"


class ChaincodeState(State):
    """The contract's state in one transaction: reads once, holds writes back, sees its own writes."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._values: dict[str, Any] = {}
        self._changed: set[str] = set()

    @override
    def get(self, key: str) -> Any:
        if key not in self._values:
            self._values[key] = _value(self._stub.get_state(checked_key(key)))
        return self._values[key]

    @override
    def put(self, key: str, value: Any) -> None:
        self._values[checked_key(key)] = value
        self._changed.add(key)

    def ahead(self, keys: Iterable[str]) -> None:
        """Read these keys now, together; ``get`` has them then."""
        wanted = sorted({checked_key(key) for key in keys} - self._values.keys())
        for key, found in zip(wanted, self._stub.get_states(wanted), strict=True):
            self._values[key] = _value(found)

    def write(self) -> None:
        """Hand what was put to the peer."""
        self._stub.put_states({key: encode(self._values[key]) for key in self._changed})


def _value(found: bytes) -> Any:
    return decode(found, max_bytes=_VALUE_BYTES, max_depth=_VALUE_DEPTH) if found else None


def checked_key(key: str) -> str:
    """``key``, if a peer on LevelDB or CouchDB takes it.

    Raises:
        InvalidKeyError: empty, begins with an underscore, or holds U+0000 or U+10FFFF, which Fabric keeps for
            itself.
    """
    if not key or key.startswith("_") or "\x00" in key or "\U0010ffff" in key:
        raise InvalidKeyError("a key of the contract is not valid on Fabric: name the record otherwise")
    return key


class Chaincode:
    """The handler that the chaincode server calls for each transaction."""

    def __init__(
        self, now: Callable[[], int], apply: Apply = contract.apply, names: Collection[str] = NAMES
    ) -> None:
        """A chaincode.

        Args:
            now: this host's clock, POSIX seconds.
            apply: the contract.
            names: of the committed definitions that this server works for.
        """
        self._now = now
        self._apply = apply
        self._names = frozenset(names)

    def __call__(self, call: Call, stub: Stub) -> bytes:
        """Work on one transaction.

        Raises:
            EntryRefusedError: as the module says.
            PeerError: the peer does not answer a request.
        """
        name, args = function(call)
        if not call.direct or call.target not in self._names:
            raise EntryRefusedError(
                "not_direct",
                "call this chaincode as a client, not from another chaincode; where its definition has "
                "another name, start its server with --name",
            )
        if name not in ("append", "find"):
            raise EntryRefusedError("unknown_function", "call append or find")
        if len(args) != 1:
            raise EntryRefusedError("arguments", f"call {name} with one argument")
        state = ChaincodeState(stub)
        if name == "find":
            return _find(state, args[0])
        self._append(state, args[0], call.seconds)
        state.write()
        return b""

    def _append(self, state: ChaincodeState, leaf: bytes, stamp: int) -> None:
        try:
            entry = parse(leaf)
        except EntryError as error:
            raise EntryRefusedError(error.code, str(error)) from error
        keys = expected_reads.signer_keys(entry)
        state.ahead([*expected_reads.common_keys(entry), *keys])
        digest = hashlib.sha256(leaf).hexdigest()
        place = f"id/{entry.id}"
        known = state.get(place)
        if known is not None and known["leaf"] == digest:
            raise EntryRefusedError("recorded", "exactly this entry is on the ledger")
        self._check_clock(entry, stamp)
        foresee(state, entry, keys)
        self._apply(state, entry, entry.time)
        state.put(place, {"leaf": digest, "type": entry.type})

    def _check_clock(self, entry: Entry, stamp: int) -> None:
        seconds = parse_time(entry.time)
        for clock in (stamp, self._now()):
            if abs(seconds - clock) > CLOCK_SECONDS:
                raise EntryRefusedError(
                    "clock", f"the entry's time is more than {CLOCK_SECONDS} s off: set the clock, sign again"
                )


def foresee(state: ChaincodeState, entry: Entry, keys: Sequence[str]) -> None:
    """Read ahead what the contract will read, if members signed the entry; otherwise read nothing."""
    records = (state.get(key) for key in keys)
    state.ahead(f"member/{record['member']}" for record in records if record is not None)
    named = expected_reads.body_keys(entry)
    if not named:
        return
    try:
        signers.verify(entry, signers.identify(entry, View(state).member_by_key))
    except EntryRefusedError:
        return  # the contract says why
    state.ahead(named)


def _find(state: ChaincodeState, name: bytes) -> bytes:
    try:
        found = state.get(f"id/{name.decode('utf-8')}")
    except (UnicodeDecodeError, InvalidKeyError) as error:
        raise EntryRefusedError(
            "arguments", "an id is text in UTF-8, of the characters an entry's id may have"
        ) from error
    return b"" if found is None else encode(found)
