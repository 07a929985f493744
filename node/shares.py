"""This node's own share of the sum key, from its vault, checked once a process against the ledger's key."""

from __future__ import annotations

from functools import lru_cache

from node.services import Services
from node.sumkeys import sum_key
from protocols.sums.sumkey import Share, SumKey


def own_share(services: Services) -> Share:
    """This node's share of the sum key.

    Raises:
        SecretMissing: this node was never given one.
    """
    return _checked_share(sum_key(services.view), services.keys.vault.get("sumshare"), services.member)


@lru_cache(maxsize=4)
def _checked_share(key: SumKey, data: bytes, holder: str) -> Share:
    """A share from its bytes; checked against its verification value once a process."""
    return key.share_from_bytes(data, holder)
