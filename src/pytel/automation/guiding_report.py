"""What a guider tells of its work: statistics for its state, cards for the header."""

from __future__ import annotations

from pytel.automation.guiding_session import GuidingSession
from pytel.interfaces.autoguider import AutoGuiderStatus, GuideStatistics
from pytel.interfaces.fitsheaders import Card


def statistics_of(session: GuidingSession) -> GuideStatistics:
    """How well it goes."""
    counted, rms, rate = session.statistics, session.statistics.rms, session.rate
    return GuideStatistics(
        corrections=counted.corrections,
        rms_ra=round(rms.ra, 4),
        rms_dec=round(rms.dec, 4),
        max_offset=round(counted.max_offset, 4),
        frames=counted.frames,
        rejected=counted.rejected,
        drift_ra=round(rate.ra, 6),
        drift_dec=round(rate.dec, 6),
    )


def guiding_cards(status: AutoGuiderStatus, session: GuidingSession | None) -> dict[str, Card]:
    """Header cards: the guider's status and, on a target, its reference and statistics."""
    cards = {"GUIDSTAT": Card(value=status.value, comment="autoguider at end of exposure")}
    if session is None or session.reference is None or status in (AutoGuiderStatus.OFF, AutoGuiderStatus.WAITING):
        return cards
    told = statistics_of(session)
    return cards | {
        "GUIDREF": Card(value=session.reference, comment="image that it compares with"),
        "GUIDNUM": Card(value=told.corrections, comment="corrections since the reference"),
        "GUIDFRMS": Card(value=told.frames, comment="frames measured since the reference"),
        "GUIDREJ": Card(value=told.rejected, comment="frames not believed or without the field"),
        "GUIDRMSR": Card(value=told.rms_ra, comment="[arcsec] rms of the offsets in right ascension"),
        "GUIDRMSD": Card(value=told.rms_dec, comment="[arcsec] rms of the offsets in declination"),
        "GUIDMAX": Card(value=told.max_offset, comment="[arcsec] largest offset"),
    }
