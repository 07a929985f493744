"""Typed records of the contract's state, as frozen values that ``ledger/contract/view.py`` makes.

Digests, keys and ids are lower-case hex text as on the ledger; dates and times keep the ledger's text form,
whose order is time order. ``entry`` is always the id of the entry that made the record, ``at`` the contract's
time then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from keys.bulk import public_key
from keys.signing import ED25519, PublicKey
from ledger.entries.entry import Body, Signature


@dataclass(frozen=True)
class MemberKey:
    """One active key of a member.

    Attributes:
        id: key id, 32 hex characters.
        use: ``node``, ``operator``, ``witness``, ``log`` or ``seal``.
        alg: ``ed25519``, or ``x25519`` for a seal key.
        public: raw public key in hex.
        name: name in the vkey of a witness or log key, else perhaps None.
    """

    id: str
    use: str
    alg: str
    public: str
    name: str | None = None

    @property
    def raw(self) -> bytes:
        """Raw public key, 32 bytes."""
        return bytes.fromhex(self.public)

    def verifier(self) -> PublicKey:
        """The key as one that verifies signatures.

        Raises:
            keys.errors.UnknownAlgorithmError: a seal key, which signs nothing.
        """
        return public_key(self.raw) if self.alg == ED25519 else PublicKey(self.alg, self.raw)


@dataclass(frozen=True)
class Member:
    """A member of the network, perhaps a removed one.

    Attributes:
        id: member id.
        name: name for people.
        roles: roles it holds now, in the order of its entry.
        keys: its active keys.
        endpoint: ``host:port`` of its node.
        tls: DER of its own CA certificate, in hex.
        version: highest version of a ``member.*`` entry about it; genesis is 1.
        founder: it signed the genesis and has been a member ever since.
        active: False once removed.
    """

    id: str
    name: str
    roles: tuple[str, ...]
    keys: tuple[MemberKey, ...]
    endpoint: str
    tls: str
    version: int
    founder: bool
    active: bool

    def keys_for(self, use: str) -> tuple[MemberKey, ...]:
        """Active keys of one use, in the order of the ledger."""
        return tuple(key for key in self.keys if key.use == use)

    def key_for(self, use: str) -> MemberKey | None:
        """The first active key of one use, or None."""
        return next((key for key in self.keys if key.use == use), None)

    def has(self, role: str) -> bool:
        """Whether it is a member now and holds ``role``."""
        return self.active and role in self.roles


@dataclass(frozen=True)
class Network:
    """The network fixed by genesis: name, pilot mark, first epoch and parameters (``suite`` among them)."""

    network: str
    pilot: bool
    epoch: str
    params: Mapping[str, Any]

    @property
    def suite(self) -> str:
        """Suite of household totals, such as ``paillier-3072``."""
        return str(self.params["suite"])


@dataclass(frozen=True)
class Publication:
    """One publication of a dataset.

    Attributes:
        dataset: ``<owner>.<what>``.
        label: ``<epoch>.<revision>``.
        kind: ``member`` or ``amount``.
        suite: ``voprf`` or the network's suite.
        key: K, 32 bytes in hex.
        root: Merkle root of the leaves.
        count: padded number of leaves, sentinels included.
        as_of: date of the data.
        title, period, regions: coverage; period and regions None where not given.
        definition: digest of source query, filter, columns and unit.
        secrecy: secrecy class.
        at: contract time of publication.
        entry: id of its entry.
    """

    dataset: str
    label: str
    kind: str
    suite: str
    key: str
    root: str
    count: int
    as_of: str
    title: str
    period: str | None
    regions: tuple[str, ...] | None
    definition: str
    secrecy: str
    at: str
    entry: str

    @property
    def owner(self) -> str:
        """The member before the dot."""
        return self.dataset.partition(".")[0]


@dataclass(frozen=True)
class SumKeyRecord:
    """The network's sum key; numbers are big-endian hex.

    Attributes:
        suite, bits: suite and size of the modulus.
        office, trustees: holders of shares.
        threshold: shares needed to open.
        modulus, base, v: n, the short-exponent base and the verification base.
        verification: verification value a holder.
        ceremony: digest of the ceremony's record.
        proof: proof that gcd(n, φ(n)) = 1.
        entry: id of its entry.
    """

    suite: str
    bits: int
    office: str
    trustees: tuple[str, ...]
    threshold: int
    modulus: str
    base: str
    v: str
    verification: Mapping[str, str]
    ceremony: str
    proof: tuple[str, ...]
    entry: str


@dataclass(frozen=True)
class Rules:
    """A published rule set: digest of its text and the dataset ids under each head."""

    rules: str
    version: str
    digest: str
    office: str
    region: str
    effective: str
    income: tuple[str, ...]
    deduct: tuple[str, ...]
    veto: tuple[str, ...]
    exclude: tuple[str, ...]
    entry: str

    @property
    def amounts(self) -> tuple[str, ...]:
        """Income datasets, then deduct datasets."""
        return self.income + self.deduct

    @property
    def datasets(self) -> frozenset[str]:
        """Every dataset the rules name."""
        return frozenset(self.income + self.deduct + self.veto + self.exclude)


@dataclass(frozen=True)
class Grant:
    """A grant and its status.

    Attributes:
        grant: its id.
        requester, owner: office that asks, member whose data it is.
        datasets: definition digest by dataset.
        protocol: ``sum`` or ``check``.
        reveal: ``total`` or ``bits``.
        purpose, basis: purpose and legal basis.
        first, last: dates from and until, in UTC+8, both included.
        period: ``month`` or ``day``.
        slots: slots a period.
        elements: elements per slot.
        min_terms: fewest rows a total may open over.
        status: ``requested``, ``approved``, ``rejected`` or ``revoked``.
        entry: id of the request's entry.
    """

    grant: str
    requester: str
    owner: str
    datasets: Mapping[str, str]
    protocol: str
    reveal: str
    purpose: str
    basis: str
    first: str
    last: str
    period: str
    slots: int
    elements: int
    min_terms: int
    status: str
    entry: str


@dataclass(frozen=True)
class IntentDataset:
    """One dataset of an intent: its publication, K, and the grant it is asked under."""

    dataset: str
    publication: str
    key: str
    grant: str


@dataclass(frozen=True)
class Slot:
    """Slot ``slot`` of ``grant`` in the period labelled ``period``."""

    grant: str
    period: str
    slot: int


@dataclass(frozen=True)
class Intent:
    """An accepted intent.

    Attributes:
        query: query id, also the entry's id.
        office: the asking office.
        registrar: who certified.
        protocol, reveal, purpose: as in the certificate.
        datasets: sorted by dataset.
        count: padded number of elements.
        cases: number of cases.
        slots: slots it took.
        digest: the certificate's digest.
        certificate: the whole certificate.
        signature: the registrar's.
        at: contract time of acceptance.
    """

    query: str
    office: str
    registrar: str
    protocol: str
    reveal: str
    purpose: str
    datasets: tuple[IntentDataset, ...]
    count: int
    cases: int
    slots: tuple[Slot, ...]
    digest: str
    certificate: Body
    signature: Signature
    at: str

    def dataset(self, dataset: str) -> IntentDataset | None:
        """The line of one dataset, or None when the intent does not name it."""
        return next((line for line in self.datasets if line.dataset == dataset), None)


@dataclass(frozen=True)
class AnswerRecord:
    """A department's answer for one dataset: ``answered`` or ``refused:<code>``, and a salted digest."""

    query: str
    dataset: str
    result: str
    response: str
    at: str
    entry: str

    @property
    def answered(self) -> bool:
        """Whether the department answered."""
        return self.result == "answered"


@dataclass(frozen=True)
class Close:
    """The office's close of a query: salted digests of the total's list and of the report."""

    query: str
    total: str
    report: str
    at: str
    entry: str


@dataclass(frozen=True)
class Release:
    """A trustee's release of its share, or an exception two of its people signed (with a reason)."""

    query: str
    case: int
    trustee: str
    list: str
    at: str
    entry: str
    reason: str | None = None
