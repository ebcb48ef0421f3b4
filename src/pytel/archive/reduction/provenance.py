"""Where a file comes from, as header cards: raws and masters by id and SHA-256, software, level.

PROCTYPE and RAWID-like cards as in the archives of NOIRLab and Las Cumbres, NCOMBINE and IMCMBnnn as IRAF has them,
CREATOR as in HEASARC's dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version

from pytel.archive.reduction.jobs import Source
from pytel.imaging.headers import CardValue, HeaderCard
from pytel.interfaces.images import FrameType, ReductionLevel

_MASTER_KEYWORDS = {FrameType.BIAS: "BIAS", FrameType.DARK: "DARK", FrameType.FLAT: "FLAT"}
_STRUCTURE = {"SIMPLE", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "EXTEND", "BSCALE", "BZERO", "CHECKSUM", "DATASUM"}
_STRUCTURE |= {"XTENSION", "PCOUNT", "GCOUNT", "TFIELDS", "EXTNAME", "DATE", "BLANK", "END", "COMMENT", "HISTORY", ""}
_OF_THE_OVERSCAN = {"BIASSEC", "TRIMSEC", "DATASEC"}
_MOST_NAMED = 999


def software() -> str:
    """This program and its version."""
    return f"pytel {version('pytel-ocs')}"


def carried_over(header: Mapping[str, CardValue], comments: Mapping[str, str]) -> dict[str, HeaderCard]:
    """The cards of a raw frame that stay true of what is made of it."""
    left_out = _STRUCTURE | _OF_THE_OVERSCAN
    return {
        keyword: HeaderCard(value, comments.get(keyword, ""))
        for keyword, value in header.items()
        if keyword not in left_out and not keyword.startswith("Z")
    }


def frame_provenance(raw: Source, masters: Mapping[FrameType, Source]) -> dict[str, HeaderCard]:
    """What a reduced frame was made of."""
    return {
        "PROCTYPE": HeaderCard(ReductionLevel.REDUCED.value, "level of reduction"),
        "CREATOR": HeaderCard(software(), "program that made this file"),
        "RAWID": HeaderCard(raw.id, "id of the raw frame"),
        "RAWSHA": HeaderCard(raw.sha256, "SHA-256"),
        **_master_cards(masters),
    }


def master_provenance(raws: Sequence[Source], masters: Mapping[FrameType, Source]) -> dict[str, HeaderCard]:
    """What a master was made of; ids and checksums of the first 999 frames."""
    cards = {
        "PROCTYPE": HeaderCard(ReductionLevel.MASTER.value, "level of reduction"),
        "CREATOR": HeaderCard(software(), "program that made this file"),
        "NCOMBINE": HeaderCard(len(raws), "frames combined"),
        **_master_cards(masters),
    }
    for number, raw in enumerate(raws[:_MOST_NAMED], 1):
        cards[f"IMCMB{number:03d}"] = HeaderCard(raw.id, "id of a combined frame")
        cards[f"IMSHA{number:03d}"] = HeaderCard(raw.sha256, "SHA-256")
    return cards


def _master_cards(masters: Mapping[FrameType, Source]) -> dict[str, HeaderCard]:
    cards: dict[str, HeaderCard] = {}
    for frame_type, name in _MASTER_KEYWORDS.items():
        if frame_type in masters:
            cards[f"{name}ID"] = HeaderCard(masters[frame_type].id, f"id of the master {frame_type.value}")
            cards[f"{name}SHA"] = HeaderCard(masters[frame_type].sha256, "SHA-256")
    return cards
