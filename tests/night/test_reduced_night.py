"""A night of the simulated observatory with the reduction on: all frames of the sky are calibrated and measured."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from astropy.io import fits

from pytel.base import clock
from pytel.base.threads import in_thread
from pytel.bus.contract import Publication
from pytel.devices.simulated.world.config import DEFAULT_FILTERS, FocuserConfig
from pytel.interfaces import (
    Camera,
    CoverCalibrator,
    Enclosure,
    EnclosureState,
    EnclosureStatus,
    FilterWheel,
    Focuser,
    ImageArchive,
    Telescope,
    WeatherState,
)
from pytel.interfaces.images import FrameType, ReductionLevel
from pytel.interfaces.reduction import Reduction
from pytel.testing import Observatory, on_virtual_clock
from pytel.testing.observatory import default_site

EVENING = datetime(2026, 6, 15, 17, 0, tzinfo=UTC)
_FIELDS = ((190.0, -30.0, "V"), (230.0, -45.0, "R"), (260.0, -20.0, "B"))


def site() -> dict[str, Any]:
    described = default_site()
    described["simulation"] |= {
        "camera": {"width": 512, "height": 512, "cosmic_rays": 0.01, "readout_time": 1.0},
        "cover": {"present": True},
        "star_limit": 16.0,
    }
    modules = described["modules"]
    for name in ("autofocus", "tasks", "observer"):
        modules.pop(name)
    modules["camera"] |= {"width": 512, "height": 512, "setpoint": -15.0}
    modules["cover"] = {"type": "simulated-cover"}
    modules["reduction"] = {"type": "night-reduction"}
    return described


def _keep(publication: Publication) -> bool:
    return publication.topic.name in ("ImageArchived", "ImageReduced")


@pytest.mark.slow
@pytest.mark.timeout(300)
@on_virtual_clock(start=EVENING)
async def test_coordinates_and_zero_points_of_a_clear_night_are_true(tmp_path: Path) -> None:
    async with Observatory(site(), pixels="full", keep=_keep, directory=tmp_path) as observatory:
        await _calibrate(observatory)
        await _focus(observatory)
        raws = [await _observe(observatory, *field) for field in _FIELDS]
        await observatory.find(Enclosure).close()
        night = observatory.site.info.location.evening_of(clock.time())
        done = await observatory.find(Reduction, deadline=3600.0).reduce_night(night)
        assert (done.reduced, done.failed) == (len(_FIELDS), {})
        archive = observatory.find(ImageArchive)
        await clock.sleep(60.0)
        found = await archive.find_images(night=night, reduction_level=ReductionLevel.REDUCED)
        assert [image.raw for image in found] == raws
        truths = [msgspec.json.decode(line) for line in await in_thread(_truth_of, tmp_path)][-len(_FIELDS) :]
        filters = {slot.name: slot for slot in DEFAULT_FILTERS}
        for image, truth in zip(found, truths, strict=True):
            header = await in_thread(fits.getheader, observatory.site.info.state_dir / "archive" / image.path)
            across = (header["CRVAL1"] - truth["ra"]) * np.cos(np.radians(truth["dec"])) * 3600
            assert np.hypot(across, (header["CRVAL2"] - truth["dec"]) * 3600) < 1.0
            slot = filters[header["FILTER"]]
            assert abs(header["MAGZP0"] - slot.zero_point) < 0.02
            assert header["EXTCOEF"] == slot.extinction


def _truth_of(directory: Path) -> list[bytes]:
    (path,) = directory.rglob("truth.jsonl")
    return path.read_bytes().splitlines()


async def _focus(observatory: Observatory) -> None:
    """Bring the focuser to where the simulated tube is sharp at this temperature."""
    temperature = observatory.state(WeatherState).temperature
    assert temperature is not None
    tube = FocuserConfig()
    best = tube.best_focus + tube.temperature_coefficient * (temperature - 10.0)
    await observatory.find(Focuser, deadline=600.0).set_focus(best)


async def _calibrate(observatory: Observatory) -> None:
    """Bias, dark and panel flats behind the closed roof."""
    camera, cover = observatory.find(Camera, deadline=600.0), observatory.find(CoverCalibrator, deadline=600.0)
    await clock.sleep(600.0)  # the detector cools
    for kind, seconds in ((FrameType.BIAS, 0.0), (FrameType.DARK, 120.0)):
        for _ in range(5):
            await camera.expose(seconds, kind)
    await cover.close_cover()
    await cover.calibrator_on(1.0)
    for name in ("V", "R", "B"):
        await observatory.find(FilterWheel, deadline=600.0).set_filter(name)
        for _ in range(5):
            await camera.expose(10.0, FrameType.FLAT)
    await cover.calibrator_off()
    await cover.open_cover()


async def _observe(observatory: Observatory, ra: float, dec: float, name: str) -> str | None:
    roof = observatory.find(Enclosure, deadline=600.0)
    if observatory.state(EnclosureState).status is not EnclosureStatus.OPEN:
        await roof.open()
    await observatory.find(FilterWheel, deadline=600.0).set_filter(name)
    await observatory.find(Telescope, deadline=600.0).move_radec(ra, dec)
    return (await observatory.find(Camera, deadline=600.0).expose(120.0, FrameType.OBJECT)).id
