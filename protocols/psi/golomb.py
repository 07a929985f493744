"""Golomb–Rice coding of a publication's sorted tags (Golomb 1966, Rice 1979): the form offices download.

For tags t_0 < t_1 < … < t_{n-1} the values are v_i = t_i - t_{i-1} - 1, with t_{-1} = -1. With
b = ⌊log2(ln 2 · 2^64 / n)⌋ (ln 2 taken as 0.69315) a value is

    q = v >> b ones, one zero, then the low b bits of v, most significant first

Values follow each other without gaps; zero bits fill the last byte. There is no header: n comes from the
ledger, and b from n. Tags spread evenly cost about log2(2^64 / n) + 1.5 bits each, 42.2 at ten million.

A list has one encoding and the decoder takes no other: no tag above 2^64-1, exactly n tags, zero fill,
nothing after it. Encoder and decoder work on chunks of any size and hold a few bytes between them; a run of
ones cannot grow past the room left below 2^64, so hostile input costs no memory. Nothing here is secret.
"""

from __future__ import annotations

from collections.abc import Iterable

from protocols.errors import EncodingError
from protocols.profiles import MAX_TAG

_WORD_BITS = 64
_FLUSH_BITS = 512


def parameter(count: int) -> int:
    """b, the number of plain low bits, for ``count`` tags: ⌊log2(ln 2 · 2^64 / count)⌋ in integer arithmetic.

    Raises:
        EncodingError: the count is not in 1 … 2^48.
    """
    if not 0 < count <= 1 << 48:
        raise EncodingError("a coded set has 1 to 2^48 tags: check the count on the ledger")
    ln2_numerator, ln2_denominator = 69315, 100000
    scaled = ((1 << _WORD_BITS) * ln2_numerator) // (count * ln2_denominator)
    return scaled.bit_length() - 1


class Encoder:
    """Codes ``count`` strictly ascending tags, fed in chunks.

    Args:
        count: number of tags of the whole set.

    Raises:
        EncodingError: the count is out of range.
    """

    def __init__(self, count: int) -> None:
        self._bits = parameter(count)
        self._left = count
        self._previous = -1
        self._pending = 0
        self._pending_bits = 0

    def feed(self, tags: Iterable[int]) -> bytes:
        """Code some more tags; returns the bytes that are complete.

        Raises:
            EncodingError: not ascending, above 2^64-1, or more than the count.
        """
        out = bytearray()
        low_mask = (1 << self._bits) - 1
        for tag in tags:
            if not self._previous < tag <= MAX_TAG or self._left == 0:
                raise EncodingError(
                    "tags are not strictly ascending, in range and as many as told: sort them again"
                )
            value = tag - self._previous - 1
            self._previous = tag
            self._left -= 1
            self._ones(value >> self._bits, out)
            self._append(value & low_mask, self._bits + 1)
            if self._pending_bits >= _FLUSH_BITS:
                self._flush(out)
        self._flush(out)
        return bytes(out)

    def finish(self) -> bytes:
        """Return the last byte, filled with zero bits, or nothing.

        Raises:
            EncodingError: fewer tags than the count.
        """
        if self._left:
            raise EncodingError(f"{self._left} tags are missing: feed the whole set")
        fill = -self._pending_bits % 8
        self._append(0, fill)
        out = bytearray()
        self._flush(out)
        return bytes(out)

    def _ones(self, number: int, out: bytearray) -> None:
        while number > 0:
            step = min(number, _FLUSH_BITS)
            self._append((1 << step) - 1, step)
            number -= step
            if self._pending_bits >= _FLUSH_BITS:
                self._flush(out)

    def _append(self, value: int, bits: int) -> None:
        self._pending = (self._pending << bits) | value
        self._pending_bits += bits

    def _flush(self, out: bytearray) -> None:
        """Move whole bytes out and keep the rest, at most 7 bits."""
        rest = self._pending_bits % 8
        size = self._pending_bits // 8
        out += (self._pending >> rest).to_bytes(size, "big")
        self._pending &= (1 << rest) - 1
        self._pending_bits = rest


class Decoder:
    """Reads ``count`` tags from coded bytes, fed in chunks.

    Args:
        count: number of tags of the whole set, from the ledger.

    Raises:
        EncodingError: the count is out of range.
    """

    def __init__(self, count: int) -> None:
        self._bits = parameter(count)
        self._left = count
        self._previous = -1
        self._quotient = 0
        self._in_ones = True
        self._pending = 0
        self._pending_bits = 0

    def feed(self, chunk: bytes) -> list[int]:
        """Return the tags that this chunk completes, ascending; feed some 64 KiB at a time.

        Raises:
            EncodingError: a tag above 2^64-1, or bytes after the last tag.
        """
        tags: list[int] = []
        for start in range(0, len(chunk), _WORD_BITS // 8):
            word = chunk[start : start + _WORD_BITS // 8]
            self._pending = (self._pending << 8 * len(word)) | int.from_bytes(word, "big")
            self._pending_bits += 8 * len(word)
            while self._left and self._step(tags):
                pass
            if self._left == 0 and (self._pending_bits >= 8 or self._pending):
                raise EncodingError("coded tags go on after the last one: download the publication again")
        return tags

    def finish(self) -> None:
        """Check that the stream ended exactly after the last tag.

        Raises:
            EncodingError: tags are missing.
        """
        if self._left:
            raise EncodingError(f"coded tags end with {self._left} missing: download the publication again")

    def _step(self, tags: list[int]) -> bool:
        """Take one run of ones, or one remainder; False when more bytes are needed."""
        if self._in_ones:
            return self._take_ones()
        if self._pending_bits < self._bits:
            return False
        self._pending_bits -= self._bits
        low = self._pending >> self._pending_bits
        self._pending &= (1 << self._pending_bits) - 1
        tag = self._previous + 1 + ((self._quotient << self._bits) | low)
        if tag > MAX_TAG:
            raise _too_large()
        tags.append(tag)
        self._previous, self._quotient, self._in_ones = tag, 0, True
        self._left -= 1
        return True

    def _take_ones(self) -> bool:
        """Consume ones up to and with the next zero."""
        mask = (1 << self._pending_bits) - 1
        zero_bits = (self._pending ^ mask).bit_length()
        self._quotient += self._pending_bits - zero_bits
        if self._previous + 1 + (self._quotient << self._bits) > MAX_TAG:
            raise _too_large()
        if zero_bits == 0:
            self._pending, self._pending_bits = 0, 0
            return False
        self._pending_bits = zero_bits - 1
        self._pending &= (1 << self._pending_bits) - 1
        self._in_ones = False
        return True


def encode(tags: Iterable[int], count: int) -> bytes:
    """Return the whole coding of ``count`` ascending tags at once.

    Raises:
        EncodingError: not ascending, out of range, or not ``count`` of them.
    """
    encoder = Encoder(count)
    return encoder.feed(tags) + encoder.finish()


def decode(data: bytes, count: int) -> list[int]:
    """Return all ``count`` tags of one coding at once.

    Raises:
        EncodingError: any other bytes than the one coding of ``count`` tags.
    """
    decoder = Decoder(count)
    tags = decoder.feed(data)
    decoder.finish()
    return tags


def _too_large() -> EncodingError:
    return EncodingError("a coded tag is above 2^64-1: download the publication again")
