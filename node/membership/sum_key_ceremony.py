"""The ceremony that creates the sum key: a dealer makes the key and its shares, offline and before witnesses.

    deal      two safe primes (searched in two spawned processes) → public key and a share for each holder,
              sealed to the holder's seal key (HPKE); a joint test opening shows that the shares decrypt what
              the key encrypts
    install   a holder decrypts its share, checks it against the public key and keeps it in its vault; a share
              of another ceremony never replaces one that is held, and is refused if the ledger has another
              key
    sign      every trustee signs the body of ``sumkey.publish``; the office submits it

All participants compare the fingerprint of n: the first 16 bytes of SHA-256 over the modulus, big-endian, in
hex. Only the public key and the sealed shares are kept. The dealer could decrypt everything, so the ceremony
is held offline, in front of witnesses, on a machine that is wiped afterwards.
"""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import Any

from keys.errors import SecretMissingError
from keys.sealing import SealingKey, seal
from keys.vault import Vault
from ledger import canonical
from ledger.contract.view import View
from node.errors import ConfigurationError
from node.home import read_document
from node.membership.home_replica import read_replica
from node.workers import worker_pool
from protocols.encoding import fields
from protocols.profiles import PAILLIER_PROFILES, PaillierProfile
from protocols.sums.arithmetic import safe_prime
from protocols.sums.sumkey import SumKey
from protocols.sums.threshold import Dealt, combine, deal, decode, partial

TEST_AMOUNT_FEN = -20261122
SHARE_INFO = b"hedui/sum-share/v1"
SHARE_NAME = "sumshare"
FIELDS = {"network", "record", "body", "shares", "sigs"}


def run(network: str, suite: str, office: dict[str, Any], trustees: list[dict[str, Any]]) -> dict[str, Any]:
    """Hold the ceremony.

    Args:
        network: the network's name.
        suite: name of a Paillier profile.
        office: the office's card.
        trustees: the cards of the trustees.

    Returns:
        The ceremony's file: public body, sealed shares by holder, no signatures yet.

    Raises:
        ConfigurationError: an unknown suite, or a card of a member that does not have the role.
    """
    profile = PAILLIER_PROFILES.get(suite)
    if profile is None:
        raise ConfigurationError(f"suite {suite} is not known: use one of {', '.join(PAILLIER_PROFILES)}")
    for card, role in [(office, "office"), *((trustee, "trustee") for trustee in trustees)]:
        _require_role(card, role)
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
    """Check that the shares together decrypt what the key encrypts."""
    key = dealt.key
    ciphertext = key.public.encrypt_row(secrets.token_bytes(64), b"ceremony", TEST_AMOUNT_FEN, b"test")
    partials = {share.holder: partial(key, share, ciphertext) for share in dealt.shares}
    if decode(key.public, combine(key, partials), 1) != TEST_AMOUNT_FEN:
        raise ConfigurationError("the dealt shares do not open the key: hold the ceremony again")


def _require_role(card: dict[str, Any], role: str) -> None:
    """Check that a card's member has a role, so that no share is dealt to the wrong member."""
    if role not in card.get("roles", ()):
        raise ConfigurationError(
            f"{card['id']} does not hold the role {role}: give the card of a member that does"
        )


def install(ceremony: dict[str, Any], member: str, vault: Vault, recorded: str | None = None) -> str:
    """Decrypt, check and store a holder's share. Installing the same file again changes nothing.

    Args:
        ceremony: the ceremony's file.
        member: the holder.
        vault: the holder's vault.
        recorded: modulus of the sum key on the ledger in hex; None if there is none, or it is not known.

    Returns:
        The fingerprint of the key's modulus.

    Raises:
        ConfigurationError: the member is not a holder, has a share of another ceremony, or the ledger has
            another sum key.
        KeysError, SumKeyError, ProofError: the share is not this holder's, or does not fit the key.
    """
    body = ceremony["body"]
    if member not in ceremony["shares"]:
        raise ConfigurationError(
            f"{member} is no holder in this ceremony; its shares: {', '.join(sorted(ceremony['shares']))}"
        )
    key = SumKey.from_body(body, PAILLIER_PROFILES[body["suite"]])
    if recorded is not None and recorded != body["modulus"]:
        raise ConfigurationError(
            f"the ledger holds another sum key, fingerprint {fingerprint(recorded)}, this ceremony's is "
            f"{fingerprint(body['modulus'])}: a network takes one sum key; install the file of that ceremony"
        )
    info = _info(ceremony["network"], key.ceremony, member)
    sealed = bytes.fromhex(ceremony["shares"][member])
    data = SealingKey.from_private(vault.get("seal")).open(sealed, info=info)
    key.share_from_bytes(data, member)
    _keep(vault, data)
    return fingerprint(body["modulus"])


def _keep(vault: Vault, data: bytes) -> None:
    """Store a checked share in the vault; never replace one, which totals may need."""
    try:
        held = vault.get(SHARE_NAME)
    except SecretMissingError:
        held = None
    if held == data:
        return
    if held is not None:
        raise ConfigurationError(
            "this home already holds a share of another ceremony, and totals may need it: keep it. Only if "
            f"that key was never published, move {SHARE_NAME}.secret out of HOME/keys and try again"
        )
    vault.put(SHARE_NAME, data)


def require_trustee(ceremony: dict[str, Any], member: str) -> None:
    """Check that a member is a trustee of the ceremony, since only trustees sign its key.

    Raises:
        ConfigurationError: it is not.
    """
    trustees = ceremony["body"]["trustees"]
    if member not in trustees:
        raise ConfigurationError(
            f"{member} is no trustee in this ceremony: {', '.join(trustees)} sign its key"
        )


def fingerprint(modulus: str) -> str:
    """Fingerprint of a modulus n, given in hex, that people compare: 32 hex characters."""
    return hashlib.sha256(bytes.fromhex(modulus)).hexdigest()[:32]


def read_file(path: Path) -> dict[str, Any]:
    """Read a ceremony's file.

    Raises:
        ConfigurationError: missing or malformed.
    """
    otherwise = "is no ceremony file: `hedui sumkey deal` writes one"
    found = read_document(path, "body", otherwise)
    if not found.keys() >= FIELDS:
        raise ConfigurationError(f"{path} {otherwise}")
    return found


def _seal_key(card: dict[str, Any]) -> bytes:
    """A card's seal key."""
    return next(bytes.fromhex(key["public"]) for key in card["keys"] if key["use"] == "seal")


def _info(network: str, ceremony: bytes, holder: str) -> bytes:
    """HPKE info, which binds the sealed share to its network, ceremony and holder."""
    return SHARE_INFO + fields(network.encode(), ceremony, holder.encode())


def recorded_modulus(store_url: str) -> str | None:
    """Modulus, in hex, of the sum key in a home's replica of the ledger; its node may be running or not.

    None if the replica holds no sum key yet, or if the database does not exist or cannot be reached: a
    ceremony may take place before a node and its database are first started.
    """
    found = read_replica(store_url, View.sumkey)
    return None if found is None else found.modulus
