"""A pointing run on the simulated mount, on the virtual clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pytel.base import clock
from pytel.base.errors import InvalidParams
from pytel.base.threads import in_thread
from pytel.interfaces import (
    Acquisition,
    AcquisitionFailed,
    Enclosure,
    MountKind,
    PointingRun,
    PointingRunFailed,
    Telescope,
    TelescopeState,
)
from pytel.sky.coordinates import altaz_to_radec
from pytel.testing import Observatory, on_virtual_clock
from pytel.testing.observatory import default_site

NIGHT = datetime(2026, 3, 1, 20, tzinfo=UTC)


def site() -> dict[str, Any]:
    described = default_site()
    described["simulation"] |= {
        "camera": {"width": 640, "height": 640, "readout_time": 1.0},
        "telescope": {"pointing_error": 90.0, "pointing_scatter": 1.0, "periodic_error": 0.5, "drift": 0.0},
    }
    for name in ("observer", "tasks", "autofocus"):
        described["modules"].pop(name)
    described["modules"]["pointing"] = {"type": "pointing-run"}
    described["modules"]["acquisition"] = {"type": "plate-solving-acquisition", "tolerance": 9000, "exposure_time": 5}
    return described


async def misses(observatory: Observatory) -> list[float]:
    """How far the telescope points beside where it is sent, arcsec."""
    found = []
    for alt, az in ((45.0, 30.0), (55.0, 200.0)):
        ra, dec = altaz_to_radec(alt, az, clock.time(), observatory.site.info.location)
        await observatory.find(Telescope, deadline=600).move_radec(ra, dec)
        found.append((await observatory.find(Acquisition, deadline=600).acquire(ra, dec, 9000.0)).distance)
    return found


@pytest.mark.slow
@on_virtual_clock(start=NIGHT)
async def test_a_run_makes_the_telescope_point_well_also_after_a_restart() -> None:
    async with Observatory(site(), pixels="full") as observatory:
        await clock.sleep(60.0)
        await observatory.find(Enclosure).open()
        before = await misses(observatory)
        result = await observatory.find(PointingRun, deadline=7200).measure_pointing(24)
        assert result.applied
        assert result.measured >= 20
        assert result.rms_after < 0.2 * result.rms_before
        assert result.plot is not None
        plot = observatory.site.info.state_dir / "pointing" / result.plot
        assert (await in_thread(plot.read_text)).startswith("<svg")
        after = await misses(observatory)
        assert max(before) > 40.0
        assert max(after) < 0.25 * result.rms_before
        await observatory.crash("telescope")
        await observatory.restart("telescope")
        assert await observatory.find(Telescope).pointing_terms() == result.terms
        assert max(await misses(observatory)) < 0.25 * result.rms_before
        # A second run finds the same errors below the model that is in use.
        again = await observatory.find(PointingRun, deadline=7200).measure_pointing(12)
        assert again.rms_before == pytest.approx(result.rms_before, rel=0.4)


@on_virtual_clock(start=NIGHT)
async def test_too_few_or_too_many_places_are_refused_before_anything_moves() -> None:
    async with Observatory(site(), pixels="full") as observatory:
        await clock.sleep(60.0)
        for points in (-1, 7, 10**9):
            with pytest.raises(InvalidParams, match=r"points is .* must be"):
                await observatory.find(PointingRun, deadline=7200).measure_pointing(points)


@on_virtual_clock(start=NIGHT)
async def test_a_closed_roof_leaves_the_model_as_it_was() -> None:
    async with Observatory(site(), pixels="full") as observatory:
        await clock.sleep(60.0)
        telescope = observatory.find(Telescope)
        await telescope.set_pointing_model(MountKind.EQUATORIAL, {"IH": 60.0})
        with pytest.raises(PointingRunFailed, match="clouds"):
            await observatory.find(PointingRun, deadline=7200).measure_pointing(8)
        assert await telescope.pointing_terms() == {"IH": 60.0}
        with pytest.raises(InvalidParams, match="no term"):
            await telescope.set_pointing_model(MountKind.EQUATORIAL, {"NONSENSE": 1.0})
        await telescope.move_radec(100.0, -30.0)
        state = observatory.state(TelescopeState)
        assert (state.ra, state.dec) == pytest.approx((100.0, -30.0), abs=1e-4)
        with pytest.raises(AcquisitionFailed):
            await observatory.find(Acquisition, deadline=600).acquire(100.0, -30.0)
