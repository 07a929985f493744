"""The network's sum key from the ledger, and this node's share of it from the vault.

Checking a key of 3072 bits takes a tenth of a second, so each process checks the key of an entry, and its own
share of that key, once.
"""

from __future__ import annotations

from functools import lru_cache

from keys.vault import Vault
from ledger import canonical
from ledger.contract.view import View
from node.errors import ServiceUnavailableError
from protocols.profiles import PAILLIER_PROFILES
from protocols.sums.paillier import PaillierPublicKey
from protocols.sums.sumkey import Share, SumKey


def sum_key(view: View) -> SumKey:
    """The network's sum key, fully checked.

    Raises:
        ServiceUnavailableError: none is on the ledger yet.
        SumKeyError, ProofError: the key is malformed.
    """
    found = view.sumkey()
    if found is None:
        raise ServiceUnavailableError("the ledger holds no sum key yet: run the ceremony with `hedui sumkey`")
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
    """Read and check a sum key from the canonical bytes of its ledger body; cached."""
    value = canonical.decode(body)
    assert isinstance(value, dict)
    return SumKey.from_body(value, PAILLIER_PROFILES[str(value["suite"])])


def paillier_key(view: View) -> PaillierPublicKey:
    """The public key that amounts are encrypted under."""
    return sum_key(view).public


def own_share(key: SumKey, vault: Vault, member: str) -> Share:
    """A node's own share of the sum key.

    Args:
        key: the network's.
        vault: of the node, which holds the share.
        member: id of the node's member.

    Raises:
        SecretMissingError: this node was never given a share.
    """
    return _checked_share(key, vault.get("sumshare"), member)


@lru_cache(maxsize=4)
def _checked_share(key: SumKey, data: bytes, holder: str) -> Share:
    """A share from its bytes, checked against its verification value."""
    return key.share_from_bytes(data, holder)
