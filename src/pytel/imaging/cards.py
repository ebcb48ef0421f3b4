"""Header cards as the 80 characters they are in a file (FITS 4.0, 4.2), the same text for the same value always."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from pytel.imaging.headers import CardValue, HeaderCard

CARD = 80
BLOCK = 2880
_TEXT_ROOM = CARD - len("KEYWORD = ''")


def card_images(keyword: str, card: HeaderCard) -> Iterator[str]:
    """Write a card; text that does not fit goes on in CONTINUE cards, a comment that does not fit is cut."""
    value, comment = card
    if isinstance(value, str) and len(_quoted(value)) - 2 > _TEXT_ROOM:
        yield from _long_text(keyword, value)
        return
    yield _fixed_card(keyword, _value_text(value), comment)


def _fixed_card(keyword: str, value: str, comment: str) -> str:
    """Put keyword, value as it is to stand, and comment on 80 characters."""
    image = f"{keyword:<8}= {value}"
    if comment and len(image) < CARD - 4:
        image = f"{image} / {comment}"
    return f"{image[:CARD].rstrip():<{CARD}}"


def _value_text(value: CardValue) -> str:
    match value:
        case None:
            return " " * 20
        case bool():
            return f"{'T' if value else 'F':>20}"
        case int():
            return f"{value:>20d}"
        case float():
            return f"{float_text(value):>20}"
        case _:
            return f"{_quoted(value):<20}"


def float_text(value: float) -> str:
    """Write a number with at most 15 digits, so that the last bit of a calculation does not change a file."""
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be written to a FITS header")
    text = f"{value:.15G}"
    mantissa, separator, exponent = text.partition("E")
    if "." not in mantissa:
        mantissa += ".0"
    return mantissa.replace("-0.0", "0.0") if value == 0 else mantissa + separator + exponent


def _quoted(text: str) -> str:
    escaped = text.rstrip().replace("'", "''")
    return f"'{escaped:<8}'"


def _long_text(keyword: str, text: str) -> Iterator[str]:
    pieces = list(_pieces(text.rstrip()))
    for number, piece in enumerate(pieces):
        more = "&" if number < len(pieces) - 1 else ""
        start = f"{keyword:<8}= " if number == 0 else "CONTINUE  "
        yield f"{start}'{piece}{more}'".ljust(CARD)


def _pieces(text: str) -> Iterator[str]:
    """Cut text into escaped pieces that fit a card with its `&`; never between the two quotes of an escaped one."""
    piece = ""
    for character in text:
        escaped = "''" if character == "'" else character
        if len(piece) + len(escaped) > _TEXT_ROOM - 1:
            yield piece
            piece = ""
        piece += escaped
    yield piece


def header_block(images: list[str]) -> bytes:
    """Close a header with END and fill its last block with blanks."""
    text = "".join([*images, "END".ljust(CARD)])
    return text.ljust(-(-len(text) // BLOCK) * BLOCK).encode("ascii")


def images_of(cards: Mapping[str, HeaderCard]) -> list[str]:
    """All cards of a header in order."""
    return [image for keyword, card in cards.items() for image in card_images(keyword, card)]
