"""Header cards read from the 80 characters they are in a file (FITS 4.0, 4.2), forgiving what is merely untidy."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from pytel.imaging.cards import CARD
from pytel.imaging.headers import CardValue

_TEXT = re.compile(r"\s*'((?:[^']|'')*)'\s*(?:/(.*))?$")
_OTHER = re.compile(r"\s*([^/]*?)\s*(?:/(.*))?$")
_INTEGER = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([EeDd][+-]?\d+)?")
_COMMENTARY = frozenset({"COMMENT", "HISTORY", ""})


class Card(NamedTuple):
    """A card of a header: keyword, value, comment. Commentary (COMMENT, HISTORY) has its text as value."""

    keyword: str
    value: CardValue
    comment: str


def parse_card_images(header: bytes) -> list[Card]:
    """Read the cards before END. A card that follows no rule is kept, with its whole text as value."""
    cards: list[Card] = []
    for place in range(0, len(header) - CARD + 1, CARD):
        image = header[place : place + CARD].decode("ascii", errors="replace")
        if image.rstrip() == "END":
            break
        _add(cards, image)
    return cards


def _add(cards: list[Card], image: str) -> None:
    keyword, indicator, rest = image[:8].rstrip(), image[8:10], image[10:]
    before = cards[-1].value if cards else None
    if keyword == "CONTINUE" and isinstance(before, str) and before.endswith("&"):
        value, comment = _value(rest)
        cards[-1] = Card(cards[-1].keyword, f"{before[:-1]}{'' if value is None else value}", comment)
    elif keyword in _COMMENTARY or indicator != "= ":
        text = image[8:].rstrip()
        if keyword or text:
            cards.append(Card(keyword, text, ""))
    else:
        cards.append(Card(keyword, *_value(rest)))


def _value(text: str) -> tuple[CardValue, str]:
    if quoted := _TEXT.match(text):
        return quoted[1].replace("''", "'").rstrip(), (quoted[2] or "").strip()
    plain = _OTHER.match(text)
    word, comment = (plain[1], (plain[2] or "").strip()) if plain else (text.strip(), "")
    return _number(word), comment


def _number(word: str) -> CardValue:
    if word in ("T", "F"):
        return word == "T"
    if _INTEGER.fullmatch(word):
        return int(word)
    if _FLOAT.fullmatch(word):
        value = float(word.upper().replace("D", "E"))
        return value if math.isfinite(value) else word
    return word or None
