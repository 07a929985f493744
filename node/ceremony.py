"""The sum key's dealer ceremony: offline, witnessed, and nothing of it survives but what is sealed or public.

    deal      two safe primes (searched in two spawned processes) → public key, one share a holder, each
              sealed to its holder's seal key (HPKE); one joint test opening shows that the shares open
              what the key encrypts
    install   a holder opens its share, checks it against the public key, keeps it in its vault
    sign      every trustee signs the body of ``sumkey.publish``; the office submits it

Whoever deals could open everything: hence offline, on a machine that is wiped, in front of witnesses.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import Any

from keys.sealing import SealingKey, seal
from keys.vault import Vault
from ledger import canonical
from node.errors import ConfigurationError
from node.home import read_document
from node.workers import worker_pool
from protocols.encoding import fields
from protocols.profiles import PAILLIER_PROFILES, PaillierProfile
from protocols.sums.primes import safe_prime
from protocols.sums.sumkey import SumKey
from protocols.sums.threshold import Dealt, combine, deal, decode, partial

TEST_AMOUNT_FEN = -20261122
SHARE_INFO = b"hedui/sum-share/v1"
SHARE_NAME = "sumshare"


def run(network: str, suite: str, office: dict[str, Any], trustees: list[dict[str, Any]]) -> dict[str, Any]:
    """Hold the ceremony.

    Args:
        network: the network's name.
        suite: name of a Paillier profile.
        office: the office's card.
        trustees: cards of the trustees.

    Returns:
        The ceremony's file: public body, sealed shares by holder, no signatures yet.

    Raises:
        ConfigurationError: an unknown suite.
    """
    profile = PAILLIER_PROFILES.get(suite)
    if profile is None:
        raise ConfigurationError(f"suite {suite} is not known: use one of {', '.join(PAILLIER_PROFILES)}")
    cards = [office, *trustees]
    holders = [card["id"] for card in cards]
    record = {"network": network, "suite": suite, "holders": holders, "salt": secrets.token_hex(32)}
    digest = hashlib.sha256(canonical.encode(record)).digest()
    dealt = deal(profile, holders, len(holders), _primes(profile), ceremony=digest)
    _test_opening(dealt)
    sealed = {
        share.holder: seal(
            _seal_key(card), dealt.key.share_to_bytes(share), info=_info(network, digest, share.holder)
        ).hex()
        for share, card in zip(dealt.shares, cards, strict=True)
    }
    return {"network": network, "record": record, "body": dealt.key.to_body(), "shares": sealed, "sigs": []}


def _primes(profile: PaillierProfile) -> tuple[int, int]:
    """Two different safe primes, searched in parallel."""
    half = profile.modulus_bits // 2
    with worker_pool(2) as pool:
        while True:
            first, second = pool.map(safe_prime, [half, half])
            if first != second and (first * second).bit_length() == profile.modulus_bits:
                return first, second


def _test_opening(dealt: Dealt) -> None:
    """The shares together open what the key encrypts."""
    key = dealt.key
    ciphertext = key.public.encrypt_row(secrets.token_bytes(64), b"ceremony", TEST_AMOUNT_FEN, b"test")
    partials = {share.holder: partial(key, share, ciphertext) for share in dealt.shares}
    if decode(key.public, combine(key, partials), 1) != TEST_AMOUNT_FEN:
        raise ConfigurationError("the dealt shares do not open the key: hold the ceremony again")


def install(ceremony: dict[str, Any], member: str, vault: Vault) -> None:
    """Open and check a holder's share, and keep it.

    Raises:
        KeysError, SumKeyError, ProofError: the share is not this holder's, or not of this key.
    """
    body = ceremony["body"]
    key = SumKey.from_body(body, PAILLIER_PROFILES[body["suite"]])
    info = _info(ceremony["network"], key.ceremony, member)
    sealed = bytes.fromhex(ceremony["shares"][member])
    data = SealingKey.from_private(vault.get("seal")).open(sealed, info=info)
    key.share_from_bytes(data, member)
    vault.put(SHARE_NAME, data)


def read_file(path: Path) -> dict[str, Any]:
    """A ceremony's file.

    Raises:
        ConfigurationError: missing or malformed.
    """
    return read_document(path, "body", "is no ceremony file: `hedui sumkey deal` writes one")


def _seal_key(card: dict[str, Any]) -> bytes:
    """A card's seal key."""
    return next(bytes.fromhex(key["public"]) for key in card["keys"] if key["use"] == "seal")


def _info(network: str, ceremony: bytes, holder: str) -> bytes:
    """HPKE info: what the sealed share is and for whom."""
    return SHARE_INFO + fields(network.encode(), ceremony, holder.encode())
