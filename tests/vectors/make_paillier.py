"""Make ``paillier.json``: vectors of the threshold Paillier core from fixed primes and fixed randomness.

    python tests/vectors/make_paillier.py            write the file (the repository root on the import path)

Provenance: the safe primes were drawn once with ``protocols.sums.arithmetic.safe_prime``. They and the
shares are
public: **test constants, never a key**. Everything else follows from them. ``test_sums_vectors`` makes the
file again, compares it byte for byte, and recomputes it with Python's own integers, without this package.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from protocols.profiles import PAILLIER_2048_TEST, PaillierProfile
from protocols.sums import shareproof, threshold
from protocols.sums.modulus import PROOF_ROOTS

FILE = Path(__file__).with_name("paillier.json")
PROFILE_512 = PaillierProfile("paillier-512-test", 512, 256, 256, 256)
HOLDERS = ("office", "trustee-1", "trustee-2")
ROWS = (
    ("CN-RID:11010119900307001X", 523_400, 1),
    ("CN-RID:110101199003070028", 1_000_000_000_000, 1),
    ("CN-RID:110101199003070036", 250_050, -1),
    ("CN-RID:110101199003070044", -99, 1),
    ("CN-RID:110101199003070052", 0, -1),
)
PRIMES = {
    "paillier-512-test": (
        "c38c3fc587738d345d243c57c9dbece4e9a0d6a5b8da5b4f2348eee0ceab4c67",
        "f1806f3e5532589ec95d5127bdd5873e2912e4c0ee7cda55c2deb17b2bef23fb",
    ),
    "paillier-2048-test": (
        (
            "fb82ec6dc08da651e627f00f2ba848d0e7cf0c50c967162e47dd0ff616ce15dbef154d20f67fbb12f599b6f06f"
            "2572f925dd8364cf667124645715cf22ec6310a1fa05d992df6313beff4c5591a91a4a2f403f0f03e6b4f6bdb8"
            "4f03d8011c809bd1fb5b91175788c353e7c5d18ef06ebd1f77cdb63804a0adbc7f9234878a17"
        ),
        (
            "e2c2709e8e4d5e517efaf6e490d756f26fd7cfc43556c2e471aead9098f564665076bc6df3a9f53463ce779fb7"
            "6f3ef29e7cf8588beea0ed2b80d41c187e5597713bebd84ee73f0bbb5f30df8bf2d43756ac898f85ee178cc40d"
            "6e0a18319acb4c565dbc0a92b0b3c49135625862d8854ea985ff3dec59bc1d15ce42fba52bbf"
        ),
    ),
}


def counter_random(seed: bytes) -> Callable[[int], int]:
    """A repeatable ``randbelow``: SHAKE-256 of seed and a counter. For vectors only."""
    counter = 0

    def below(limit: int) -> int:
        nonlocal counter
        counter += 1
        stream = hashlib.shake_256(seed + counter.to_bytes(4, "big"))
        return int.from_bytes(stream.digest(limit.bit_length() // 8 + 17), "big") % limit

    return below


def _case(profile: PaillierProfile) -> dict[str, object]:
    p, q = (int(prime, 16) for prime in PRIMES[profile.name])
    dealt = threshold.deal(
        profile,
        HOLDERS,
        2,
        (p, q),
        ceremony=hashlib.sha256(b"vector").digest(),
        random=counter_random(b"deal"),
    )
    key, public = dealt.key, dealt.key.public
    secret = bytes(range(32))
    rows = [
        {
            "identifier": identifier,
            "amount": amount,
            "sign": sign,
            "ciphertext": public.to_bytes(
                public.encrypt_row(secret, identifier.encode(), amount, b"row")
            ).hex(),
        }
        for identifier, amount, sign in ROWS
    ]
    total = public.combine(
        (int(str(row["ciphertext"]), 16), sign) for row, (_, _, sign) in zip(rows, ROWS, strict=True)
    )
    context = shareproof.ListContext(
        "vector", "00112233445566778899aabbccddeeff", hashlib.sha256(b"list").digest()
    )
    openings = {}
    for share in dealt.shares:
        value = threshold.partial(key, share, total)
        proof = shareproof.prove(key, share, total, value, context, random=lambda size: b"\x07" * size)
        openings[share.holder] = {"partial": public.to_bytes(value).hex(), "proof": proof.hex()}
    return {
        "p": f"{p:x}",
        "q": f"{q:x}",
        "sumkey": key.to_body(),
        "shares": {share.holder: key.share_to_bytes(share).hex() for share in dealt.shares},
        "publication_secret": secret.hex(),
        "purpose": "row",
        "rows": rows,
        "total_ciphertext": public.to_bytes(total).hex(),
        "context": {
            "network": context.network,
            "query": context.query,
            "list_digest": context.list_digest.hex(),
        },
        "openings": openings,
        "total": sum(amount * sign for _, amount, sign in ROWS),
        "must_fail": _negatives(p, q),
    }


def _negatives(p: int, q: int) -> dict[str, list[dict[str, str]]]:
    n = p * q
    ciphertexts = {
        "zero": 0,
        "n": n,
        "n squared": n * n,
        "above n squared": n * n + 1,
        "multiple of a factor": 12345 * p,
        "multiple of n": 5 * n,
    }
    bits = n.bit_length()
    small = (1 << bits) // 65521 - 1
    moduli = {
        "even": n - 1,
        "one bit short": n >> 1 | 1,
        "one bit long": n << 1 | 1,
        "small factor": 65521 * (small | 1),
        "square": max(p, q) ** 2 if (max(p, q) ** 2).bit_length() == bits else min(p, q) ** 2,
    }
    return {
        "ciphertexts": [
            {"class": name, "value": f"{value:x}", "expect": "ciphertext"}
            for name, value in ciphertexts.items()
        ],
        "moduli": [
            {"class": name, "value": f"{value:x}", "expect": "sum_key"} for name, value in moduli.items()
        ],
    }


def build() -> str:
    """The file's text."""
    document = {
        "provenance": "tests/vectors/make_paillier.py; public test constants, never a key",
        "modulus_proof_roots": PROOF_ROOTS,
        "cases": {profile.name: _case(profile) for profile in (PROFILE_512, PAILLIER_2048_TEST)},
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(build(), encoding="utf-8")
