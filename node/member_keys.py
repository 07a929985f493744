"""A member's own keys and its public card.

Secrets in the vault, by name::

    node              Ed25519, signs entries, receipts, certificates and lists of terms
    operator-a, -b    Ed25519, two operators of the member; moved to their own media in production
    witness           Ed25519, cosigns checkpoints (every member but the sequencer)
    log               Ed25519, signs checkpoints (the sequencer)
    seal              X25519, decrypts what is sealed to this member (its share of the sum key)
    authority         the member's certificate authority, P-256
    exceptions        trustee: derives the salts of the lists that its exceptions name
    padding           registrar: derives padding elements
    subjects          registrar: keys its index of subjects
    publication.<dataset>.<publication>    department: VOPRF key and secret of one publication
    sumshare          office, trustee: its share of the sum key

The card is the member's public description, which other members get before the member is on the ledger: the
``member`` object of ``network.genesis`` and ``member.admit``.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any

from keys.sealing import SealingKey
from keys.signing import SigningKey
from keys.tls import Authority, Identity
from keys.vault import STANDARD, ScryptProfile, Vault
from ledger.entries import bodies
from node.config import Configuration
from node.errors import ConfigurationError
from node.home import Home, write_file
from protocols.check.json_form import SignatureValue

LEAF_DAYS = 397
DRAWN = ScryptProfile(n=1 << 12, r=8, p=1)
DRAWN_FORM = re.compile(rb"[0-9a-f]{64}")
OPERATORS = ("operator-a", "operator-b")


@dataclass(frozen=True)
class MemberKeys:
    """The keys of a running node.

    Attributes:
        vault: the store of all secrets.
        node: the node's signing key.
        authority: the member's certificate authority.
        tls: certificate and key of the node's port and of its calls.
    """

    vault: Vault
    node: SigningKey
    authority: Authority
    tls: Identity

    def signing(self, name: str) -> SigningKey:
        """A signing key by its name in the vault."""
        return SigningKey.from_seed(self.vault.get(name))

    @property
    def sealing(self) -> SealingKey:
        """The key that decrypts what is sealed to this member."""
        return SealingKey.from_private(self.vault.get("seal"))


def passphrase_cost(passphrase: bytes) -> ScryptProfile:
    """Cost of one passphrase guess: low for a generated passphrase, whose 256 bits cannot be guessed."""
    return DRAWN if DRAWN_FORM.fullmatch(passphrase) else STANDARD


def open_vault(home: Home, passphrase: bytes) -> Vault:
    """The home's vault."""
    return Vault(home.keys, passphrase, profile=passphrase_cost(passphrase))


def create_keys(home: Home, passphrase: bytes, member: str, roles: tuple[str, ...]) -> Vault:
    """Create a new vault with every key that the roles need."""
    vault = open_vault(home, passphrase)
    names = ["node", *OPERATORS, "log" if "sequencer" in roles else "witness"]
    for name in names:
        vault.put(name, SigningKey.generate().seed)
    vault.put("seal", SealingKey.generate().private)
    vault.put("authority", Authority.create(member).to_pem())
    if "trustee" in roles:
        vault.put("exceptions", secrets.token_bytes(64))
    if "registrar" in roles:
        vault.put("padding", secrets.token_bytes(64))
        vault.put("subjects", secrets.token_bytes(64))
    return vault


def open_keys(configuration: Configuration) -> MemberKeys:
    """Open the vault and issue a TLS certificate for this process.

    Raises:
        KeysError: a secret is missing, or the passphrase is wrong.
        ConfigurationError: node.toml names another member than the keys belong to.
    """
    vault = open_vault(configuration.home, configuration.passphrase)
    authority = Authority.from_pem(vault.get("authority"))
    if authority.member != configuration.member:
        raise ConfigurationError(
            f"{configuration.home.configuration} says id {configuration.member}, and the keys in this home "
            f'are those of {authority.member}: write id = "{authority.member}" there'
        )
    host = configuration.listen.rpartition(":")[0]
    tls = authority.issue(configuration.member, [host], LEAF_DAYS)
    return MemberKeys(vault, SigningKey.from_seed(vault.get("node")), authority, tls)


def make_card(configuration: Configuration, keys: MemberKeys) -> dict[str, Any]:
    """The member's card: the member object of ``network.genesis`` and ``member.admit``."""
    member = configuration.member
    entries = [_public("node", keys.node, None)]
    entries += [_public("operator", keys.signing(name), name) for name in OPERATORS]
    if "sequencer" in configuration.roles:
        entries.append(_public("log", keys.signing("log"), _key_name("log", member, keys.signing("log"))))
    else:
        entries.append(
            _public("witness", keys.signing("witness"), _key_name("witness", member, keys.signing("witness")))
        )
    entries.append({"use": "seal", "alg": "x25519", "public": keys.sealing.public.hex()})
    roles, certificate = sorted(configuration.roles), keys.authority.certificate_der
    return bodies.member(member, configuration.name, roles, entries, configuration.endpoint, certificate)


def _key_name(use: str, member: str, key: SigningKey) -> str:
    """A unique vkey name of a log or witness: ``<use>.<member>.hedui/<first half of the key id>``."""
    return f"{use}.{member}.hedui/{key.public.id[:16]}"


def _public(use: str, key: SigningKey, name: str | None) -> dict[str, str]:
    """One public key of a card."""
    entry = {"use": use, "alg": key.public.alg, "public": key.public.raw.hex()}
    return entry if name is None else entry | {"name": name}


def sign(key: SigningKey, message: bytes) -> SignatureValue:
    """Sign a message: key id, algorithm and signature as a document carries them."""
    return SignatureValue(key.public.id, key.public.alg, key.sign(message).hex())


def draw_passphrase() -> bytes:
    """Draw a passphrase of 256 bits, for a node that starts unattended."""
    return secrets.token_hex(32).encode()


def save_passphrase(home: Home, passphrase: bytes) -> None:
    """Write a generated passphrase to its file in the home."""
    write_file(home.keys / "passphrase", passphrase + b"\n", 0o600)
