"""The FITS checksum (FITS 4.0, 4.4.2.7 and appendix J): a 32-bit sum in ones' complement, written as 16 letters."""

from __future__ import annotations

from pytel.imaging.cards import header_block, images_of
from pytel.imaging.headers import HeaderCard

_EXCLUDED = frozenset(b":;<=>?@[\\]^_`")


def sum32(data: bytes | memoryview) -> int:
    """Add up big-endian 32-bit words in ones' complement; the length is a multiple of 4."""
    import numpy as np

    words = np.frombuffer(data, dtype=">u2")
    # Sums of the high and low halves cannot overflow 64 bits, and adding 16-bit words is what numpy does fast.
    high = int(words[0::2].sum(dtype=np.uint64))
    low = int(words[1::2].sum(dtype=np.uint64))
    return fold((high << 16) + low)


def fold(total: int) -> int:
    """Carry what does not fit 32 bits around (ones' complement)."""
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def encode(total: int) -> str:
    """Write the complement of a sum as 16 characters that are letters and digits only."""
    value = ~total & 0xFFFFFFFF
    letters = bytearray(16)
    for position, byte in enumerate(value.to_bytes(4, "big")):
        for row, character in enumerate(_four_letters(byte)):
            letters[4 * row + position] = character
    return (letters[-1:] + letters[:-1]).decode("ascii")


def _four_letters(byte: int) -> list[int]:
    """Four characters whose codes, less that of `0`, add up to `byte`; pairs move apart until all are alphanumeric."""
    quotient, remainder = divmod(byte, 4)
    letters = [quotient + remainder + 48, quotient + 48, quotient + 48, quotient + 48]
    while _EXCLUDED.intersection(letters):
        for first in (0, 2):
            if _EXCLUDED.intersection(letters[first : first + 2]):
                letters[first] += 1
                letters[first + 1] -= 1
    return letters


def stamp(images: list[str], data_sum: int) -> bytes:
    """Make the header of an HDU with DATASUM and CHECKSUM; their comments carry no time, so files can be repeated."""

    def header(checksum: str) -> bytes:
        both = {
            "CHECKSUM": HeaderCard(checksum, "checksum of this HDU"),
            "DATASUM": HeaderCard(str(data_sum), "checksum of the data"),
        }
        return header_block([*images, *images_of(both)])

    return header(encode(fold(sum32(header("0" * 16)) + data_sum)))
