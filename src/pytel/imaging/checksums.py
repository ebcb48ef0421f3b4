"""The FITS checksum (FITS 4.0, 4.4.2.7 and appendix J): a 32-bit sum in ones' complement, written as 16 letters."""

from __future__ import annotations

import sys

from pytel.imaging.cards import header_block, images_of
from pytel.imaging.headers import HeaderCard

_PIECE = 2**16
_EXCLUDED = frozenset(b":;<=>?@[\\]^_`")


def sum32(data: bytes | memoryview) -> int:
    """Add up big-endian 32-bit words in ones' complement; the length is a multiple of 4."""
    import numpy as np

    words = np.frombuffer(data, np.uint32)
    room = np.empty(min(_PIECE, words.size), np.uint32)
    whole = second = 0
    for start in range(0, words.size, _PIECE):
        piece = words[start : start + _PIECE]
        whole += int(piece.sum(dtype=np.uint64))
        second += int(np.bitwise_and(piece, np.uint32(0x00FF00FF), out=room[: piece.size]).sum(dtype=np.uint64))
    if sys.byteorder == "big":
        return fold(whole)
    # Of a word's bytes, read in the wrong order, every second one is added up by itself: in ones' complement a turn by
    # whole bytes is a factor, and brings each sum to where its bytes belong.
    return fold((second << 24) + ((whole - second) >> 8 << 16))


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
