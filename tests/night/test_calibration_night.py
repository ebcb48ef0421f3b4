"""A night in which the robot takes its own calibration frames, on the virtual clock."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from pytel.base import clock
from pytel.base.threads import in_thread
from pytel.bus.contract import Publication
from pytel.interfaces import (
    CoverCalibratorState,
    CoverStatus,
    EnclosureState,
    EnclosureStatus,
    ImageArchived,
    NightEnded,
)
from pytel.observing.report import NightReport
from pytel.testing import Observatory, on_virtual_clock
from pytel.testing.observatory import default_site

AFTERNOON = datetime(2026, 3, 1, 16, 30, tzinfo=UTC)


def site(**plan: Any) -> dict[str, Any]:
    described = default_site()
    described["simulation"] |= {
        "camera": {"width": 64, "height": 64, "cosmic_rays": 0.0, "readout_time": 1.0},
        "star_limit": 10.0,
        "cover": {"present": True},
    }
    modules = described["modules"]
    modules.pop("autofocus")
    modules["cover"] = {"type": "simulated-cover"}
    modules["flats"] = {"type": "twilight-flats"}
    modules["darks"] = {"type": "dark-frames"}
    modules["tasks"] = {"type": "sql-task-store"}
    modules["observer"] = {"type": "robot-observer", "calibration": plan}
    return described


def _keep(publication: Publication) -> bool:
    return publication.topic.name in ("ImageArchived", "NightEnded")


async def night_of(observatory: Observatory) -> NightReport:
    await observatory.until(lambda: observatory.heard(NightEnded), deadline=80_000.0)
    path = observatory.site.info.state_dir / "observer" / "2026-03-01" / "night.json"
    return msgspec.json.decode(await in_thread(path.read_bytes), type=NightReport)


@pytest.mark.slow
@on_virtual_clock(start=AFTERNOON)
async def test_flats_in_both_twilights_and_darks_behind_the_closed_roof() -> None:
    plan = {"flats": ["Clear", "I"], "flat_count": 3, "bias_count": 4, "darks": [{"exposure_time": 30.0, "count": 2}]}
    async with Observatory(site(**plan), pixels="full", keep=_keep) as observatory:
        report = await night_of(observatory)
        assert [(done.what, done.taken, done.error) for done in report.calibrations] == [
            ("evening flats", 6, None),
            ("morning flats", 6, None),
            ("bias x1", 4, None),
            ("darks of 30 s x1", 2, None),
        ]
        archived = Counter(event.archived.frame_type.value for event in observatory.heard(ImageArchived))
        assert archived["flat"] == 12
        assert archived["dark"] == 2
        assert observatory.state(EnclosureState).status is EnclosureStatus.CLOSED
        assert observatory.state(CoverCalibratorState).cover is CoverStatus.CLOSED


@pytest.mark.slow
@on_virtual_clock(start=AFTERNOON)
async def test_a_flat_fielder_that_is_gone_costs_the_flats_and_nothing_else() -> None:
    async with Observatory(site(flats=["V"], flat_count=3, morning=False), pixels="full", keep=_keep) as observatory:
        await observatory.crash("flats")
        report = await night_of(observatory)
        (done,) = report.calibrations
        assert (done.what, done.taken) == ("evening flats", 0)
        assert done.error is not None
        assert "is it started?" in done.error
        assert clock.now() > report.end
