"""A sealed file: what is written is read; anything cut, changed, moved or added is found."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import SealedFileDamagedError, WrongPassphraseError
from keys.sealedfile import CHUNK_BYTES, SealedReader, SealedWriter
from keys.wrapping import FAST_TEST, TAG_BYTES, wrap

WORDS = b"correct horse"
STORED = CHUNK_BYTES + TAG_BYTES


def sealed(plain: bytes, *parts: int) -> bytes:
    """Seal ``plain``, written in pieces that end at ``parts``."""
    file = io.BytesIO()
    with SealedWriter(file, WORDS, profile=FAST_TEST) as writer:
        for begin, end in zip((0, *parts), (*parts, len(plain)), strict=True):
            writer.write(plain[begin:end])
    return file.getvalue()


def opened(data: bytes, passphrase: bytes = WORDS) -> bytes:
    return SealedReader(io.BytesIO(data), passphrase).read()


THREE = bytes(range(256)) * (2 * CHUNK_BYTES // 256) + b"the rest"
SEALED_THREE = sealed(THREE)
HEAD = SEALED_THREE.index(b"\n") + 1


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES])
def test_what_is_written_is_read(size: int) -> None:
    plain = bytes(size)
    assert opened(sealed(plain)) == plain
    assert opened(sealed(plain, size // 3, size // 2)) == plain
    assert len(sealed(plain)) == HEAD + size + TAG_BYTES * max(1, -(-size // CHUNK_BYTES))


def test_a_wrong_passphrase_is_named() -> None:
    with pytest.raises(WrongPassphraseError):
        opened(SEALED_THREE, b"other")


@given(st.integers(0, len(SEALED_THREE) - 1))
def test_cut_anywhere_it_is_found(end: int) -> None:
    with pytest.raises(SealedFileDamagedError):
        opened(SEALED_THREE[:end])


@given(st.integers(0, len(SEALED_THREE) - 1), st.integers(0, 7))
def test_a_bit_flipped_anywhere_is_found(at: int, bit: int) -> None:
    changed = bytearray(SEALED_THREE)
    changed[at] ^= 1 << bit
    with pytest.raises((SealedFileDamagedError, WrongPassphraseError)):
        opened(bytes(changed))


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_cut_at_the_end_of_a_chunk_it_is_found(keep: int) -> None:
    with pytest.raises(SealedFileDamagedError):
        opened(SEALED_THREE[: HEAD + keep * STORED])


def test_chunks_moved_repeated_left_out_or_added_are_found() -> None:
    head = SEALED_THREE[:HEAD]
    one, two, last = (SEALED_THREE[HEAD + n * STORED : HEAD + (n + 1) * STORED] for n in range(3))
    for chunks in ([two, one, last], [one, one, two, last], [one, last], [one, two, last, last], [last]):
        with pytest.raises(SealedFileDamagedError):
            opened(head + b"".join(chunks))
    with pytest.raises(SealedFileDamagedError):
        opened(SEALED_THREE + b"\0")
    with pytest.raises(WrongPassphraseError):
        opened(SEALED_THREE.replace(b'"n":16', b'"n":32', 1))


def test_a_chunk_of_another_file_does_not_open() -> None:
    other = sealed(THREE)
    with pytest.raises(SealedFileDamagedError):
        opened(SEALED_THREE[: HEAD + STORED] + other[HEAD + STORED :])


def test_nothing_can_be_read_of_what_is_no_sealed_file() -> None:
    for data in (b"", b"\n", b"{}\n", wrap("hedui/vault/v1", WORDS, FAST_TEST, bytes(32)), b"x" * 100_000):
        with pytest.raises(SealedFileDamagedError, match="no sealed file"):
            opened(data)


def test_a_writer_that_failed_leaves_no_final_chunk() -> None:
    file = io.BytesIO()
    writer = SealedWriter(file, WORDS, profile=FAST_TEST)
    writer.write(b"half")
    writer.__exit__(KeyError, KeyError(), None)
    with pytest.raises(SealedFileDamagedError):
        opened(file.getvalue())
