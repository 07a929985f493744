"""The network's sum key as this node knows it from the ledger, checked once a process.

A key of 3072 bits takes a tenth of a second to check, so each process checks the key of an entry once.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from ledger import canonical
from ledger.database import open_engine
from ledger.states import SharedState
from ledger.store import TreeStore
from ledger.tables import REPLICA
from ledger.view import View
from node.errors import ServiceUnavailable
from protocols.profiles import PAILLIER_PROFILES
from protocols.sums.paillier import PublicKey
from protocols.sums.sumkey import SumKey


def sum_key(view: View) -> SumKey:
    """The network's sum key, fully checked.

    Raises:
        ServiceUnavailable: none is on the ledger yet.
        SumKeyError, ProofError: it is malformed.
    """
    found = view.sumkey()
    if found is None:
        raise ServiceUnavailable("the ledger holds no sum key yet: run the ceremony with `hedui sumkey`")
    body = {
        "suite": found.suite,
        "bits": found.bits,
        "office": found.office,
        "trustees": list(found.trustees),
        "threshold": found.threshold,
        "modulus": found.modulus,
        "base": found.base,
        "v": found.v,
        "verification": dict(found.verification),
        "ceremony": found.ceremony,
        "proof": list(found.proof),
    }
    return checked_sum_key(canonical.encode(body))


@lru_cache(maxsize=4)
def checked_sum_key(body: bytes) -> SumKey:
    """A sum key from the canonical bytes of its ledger body; each key is checked once a process."""
    value = canonical.decode(body)
    assert isinstance(value, dict)
    return SumKey.from_body(value, PAILLIER_PROFILES[str(value["suite"])])


def paillier_key(view: View) -> PublicKey:
    """The key amounts are encrypted under."""
    return sum_key(view).public


def recorded_modulus(store_url: str) -> str | None:
    """Modulus, in hex, of the sum key that a home's own replica holds, its node running or not.

    None: the ledger holds no sum key as far as it was replayed here, or the database is not there yet, or
    cannot be reached (a ceremony may come before the first start of a node and its database).
    """
    url = make_url(store_url)
    if url.drivername.startswith("sqlite") and not Path(url.database or "").is_file():
        return None
    engine = open_engine(store_url)
    try:
        found = View(SharedState(engine, TreeStore(REPLICA))).sumkey()
    except SQLAlchemyError:
        return None
    finally:
        engine.dispose()
    return None if found is None else found.modulus
