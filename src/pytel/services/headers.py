"""The header cards that other modules give for an image, asked for all at once and with one deadline for all.

What stands in the file: the values at the start of the exposure. A few that matter and change meanwhile get a second
card with the value at its end (`END_KEYWORDS`: `ALT-END`, `AM-END`, …); what nobody said at the start and somebody at
the end stands as it was at the end. Modules that did not answer are named in `HDRMISS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from pytel.base import clock
from pytel.base.errors import PytelError, Timeout
from pytel.base.units import Seconds
from pytel.interfaces.fitsheaders import Card, ExposureMoment, FitsHeaderProvider
from pytel.services.timing import patient

if TYPE_CHECKING:
    from pytel.module.module import Module

END_KEYWORDS: Mapping[str, str] = {
    "RA": "RA-END",
    "DEC": "DEC-END",
    "OBJCTALT": "ALT-END",
    "OBJCTAZ": "AZ-END",
    "AIRMASS": "AM-END",
    "FOCUSPOS": "FOC-END",
    "FOCUSTEM": "FTEM-END",
}
"""What changes during an exposure, and the keyword of its value at the end."""
MISSING_KEYWORD = "HDRMISS"
Answer = dict[str, Card] | PytelError


class CollectedHeaders(NamedTuple):
    """What the providers said at one moment, and the addresses of those that said nothing."""

    cards: dict[str, Card]
    missing: tuple[str, ...] = ()


async def collect_headers(module: Module, moment: ExposureMoment, deadline: Seconds) -> CollectedHeaders:
    """Ask every `FitsHeaderProvider` that is present now, all at once, for at most `deadline` seconds of site time.

    A slow or failing provider costs its own cards only; it is logged and listed as missing. Where two give the same
    keyword the first by address wins, which is logged too.
    """
    deadline = patient(deadline, 1.0)
    providers = [(str(module.address_of(provider)), provider) for provider in module.find_all(FitsHeaderProvider)]
    providers.sort(key=lambda entry: entry[0])
    answers = await asyncio.gather(*(_ask(provider, moment, deadline) for _, provider in providers))
    collected = CollectedHeaders({}, ())
    given_by: dict[str, str] = {}
    for (address, _), answer in zip(providers, answers, strict=True):
        if isinstance(answer, PytelError):
            module.log.warning("no header cards from %s: %s", address, answer)
            collected = collected._replace(missing=(*collected.missing, address))
            continue
        for keyword, card in answer.items():
            if keyword in given_by:
                module.log.warning("%s and %s both give %s; the first stands", given_by[keyword], address, keyword)
                continue
            given_by[keyword] = address
            collected.cards[keyword] = card
    return collected


async def _ask(provider: FitsHeaderProvider, moment: ExposureMoment, deadline: Seconds) -> Answer:
    try:
        async with clock.deadline(deadline):
            return await provider.fits_headers(moment)
    except TimeoutError:
        return Timeout(f"it did not answer within {deadline:g} s")
    except PytelError as error:
        return error


def merge_headers(start: CollectedHeaders, end: CollectedHeaders) -> dict[str, Card]:
    """Join the cards of both moments, as the file docstring says."""
    merged = {**end.cards, **start.cards}
    for keyword, at_end in END_KEYWORDS.items():
        first, last = start.cards.get(keyword), end.cards.get(keyword)
        if first is not None and last is not None and first.value != last.value:
            merged[at_end] = Card(value=last.value, comment=_at_end(last.comment))
    missing = sorted({*start.missing, *end.missing})
    if missing:
        merged[MISSING_KEYWORD] = Card(value=", ".join(missing), comment="gave no header cards")
    return merged


def _at_end(comment: str) -> str:
    text = comment.removesuffix(" at start of exposure")
    return f"{text} at end".strip()
