"""Files exchanged with python-paillier's command ``pheutil``, both ways."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from protocols.profiles import PAILLIER_2048_TEST
from protocols.sums.paillier import PaillierPrivateKey
from protocols.sums.phe_format import (
    EncryptedNumber,
    decode_integer,
    encrypted_from_json,
    encrypted_to_json,
    private_from_jwk,
    private_to_jwk,
    public_from_jwk,
    public_to_jwk,
)

PHEUTIL = shutil.which("pheutil", path=str(Path(sys.executable).parent)) or shutil.which("pheutil")
pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(
        PHEUTIL is None, reason="pheutil is not installed: install the interop extra to run it"
    ),
]
MAKER = Path(__file__).parents[1] / "vectors" / "make_paillier.py"
Run = Callable[..., str]


@pytest.fixture
def pheutil(tmp_path: Path) -> Run:
    """Runs ``pheutil`` in a folder of its own and gives its standard output."""

    def run(*arguments: str) -> str:
        assert PHEUTIL is not None
        done = subprocess.run([PHEUTIL, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout

    return run


@pytest.fixture
def ours() -> PaillierPrivateKey:
    """The key of the vectors, 2048 bits."""
    p, q = (int(prime, 16) for prime in runpy.run_path(str(MAKER))["PRIMES"]["paillier-2048-test"])
    return PaillierPrivateKey(p, q, PAILLIER_2048_TEST)


def write(path: Path, data: object) -> str:
    path.write_text(json.dumps(data), encoding="utf-8")
    return path.name


@pytest.mark.parametrize("amount", [523_400, -99, 0, -(10**12)])
def test_pheutil_decrypts_what_we_encrypt(
    pheutil: Run, tmp_path: Path, ours: PaillierPrivateKey, amount: int
) -> None:
    secret = write(tmp_path / "private.json", private_to_jwk(ours, "vector key"))
    number = EncryptedNumber(ours.public.encrypt_row(bytes(32), b"x", amount, b"row"))
    sealed = write(tmp_path / "number.json", encrypted_to_json(number))
    assert int(pheutil("decrypt", secret, sealed)) == amount


def test_we_decrypt_what_pheutil_encrypts_and_adds(
    pheutil: Run, tmp_path: Path, ours: PaillierPrivateKey
) -> None:
    public = write(tmp_path / "public.json", public_to_jwk(ours.public, "vector key"))
    (tmp_path / "a.json").write_text(pheutil("encrypt", public, "523400"), encoding="utf-8")
    ciphertext = ours.public.encrypt_row(bytes(32), b"x", -600_000, b"row")
    write(tmp_path / "b.json", encrypted_to_json(EncryptedNumber(ciphertext)))
    (tmp_path / "sum.json").write_text(pheutil("addenc", public, "a.json", "b.json"), encoding="utf-8")
    for name, expected in [("a.json", 523_400), ("b.json", -600_000), ("sum.json", -76_600)]:
        number = encrypted_from_json(json.loads((tmp_path / name).read_text(encoding="utf-8")), ours.public)
        m = ours.decrypt(number.ciphertext)
        assert decode_integer(m, ours.public.n, number.exponent) == expected


def test_a_key_of_pheutil_works_here(pheutil: Run, tmp_path: Path) -> None:
    pheutil("genpkey", "--keysize", "2048", "private.json")
    pheutil("extract", "private.json", "public.json")
    private = private_from_jwk(json.loads((tmp_path / "private.json").read_text()), PAILLIER_2048_TEST)
    public = public_from_jwk(json.loads((tmp_path / "public.json").read_text()), PAILLIER_2048_TEST)
    assert public == private.public
    write(tmp_path / "number.json", encrypted_to_json(EncryptedNumber(public.encrypt(-7, 1 << 1000))))
    assert int(pheutil("decrypt", "private.json", "number.json")) == -7
