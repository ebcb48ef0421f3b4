"""Domes and roofs against INDI's simulators: they open only when it is safe, and close whatever happens."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from indi_kit import Starter
from pytel.base import clock
from pytel.base.errors import PytelError, Unsafe
from pytel.interfaces import (
    Enclosure,
    EnclosureState,
    EnclosureStatus,
    IndiProperties,
    SafetyMonitor,
    SafetyMonitorState,
    Telescope,
)
from pytel.sky.coordinates import altaz_to_radec
from pytel.testing import Observatory

from .site_kit import site_of, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
DRY: dict[str, Any] = {"startup_grace": "5 s"}


def status(observatory: Observatory) -> EnclosureStatus | None:
    state = observatory.latest(EnclosureState)
    return None if state is None else state.status


async def safe(observatory: Observatory) -> None:
    """Wait until it may open."""
    await until(
        lambda: (state := observatory.latest(EnclosureState)) and state.may_open,
        told=lambda: (observatory.latest(EnclosureState), observatory.latest(SafetyMonitorState)),
    )


async def test_a_dome_opens_follows_and_closes_in_rain(indi_server: Starter, tmp_path: Path) -> None:
    names = ("dome", "weather", "safety", "telescope")
    async with site_of(indi_server, tmp_path, *names) as (observatory, _):
        dome = observatory.find(Enclosure)
        await safe(observatory)
        await dome.open()
        assert status(observatory) is EnclosureStatus.OPEN
        ra, dec = altaz_to_radec(60.0, 150.0, clock.time(), observatory.site.info.location)
        await observatory.find(Telescope).move_radec(ra, dec)

        def follows() -> bool:
            azimuth = observatory.state(EnclosureState).azimuth
            return azimuth is not None and abs(math.remainder(azimuth - 150.0, 360.0)) < 6.0

        await until(follows, told=lambda: observatory.state(EnclosureState))
        await observatory.find(IndiProperties, name="weather").indi_set("WEATHER_CONTROL", {"Precip": 2.0})
        await until(lambda: status(observatory) is EnclosureStatus.CLOSING)
        await until(lambda: status(observatory) is EnclosureStatus.CLOSED)
        with pytest.raises(Unsafe, match="rain"):
            await dome.open()


async def test_a_roof_opens_and_closes(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "roof", "weather", "safety") as (observatory, _):
        roof = observatory.find(Enclosure)
        await until(lambda: status(observatory) not in (None, EnclosureStatus.UNKNOWN, EnclosureStatus.ERROR))
        await safe(observatory)
        await roof.open()
        assert status(observatory) is EnclosureStatus.OPEN
        await roof.close()
        assert status(observatory) is EnclosureStatus.CLOSED


async def test_after_a_lost_server_the_dome_closes_as_soon_as_it_is_back(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "dome", "weather", "safety") as (observatory, server):
        dome = observatory.find(Enclosure)
        await safe(observatory)
        await dome.open()
        server.pause()
        await observatory.find(SafetyMonitor).declare_unsafe("a test")
        await until(lambda: status(observatory) is not EnclosureStatus.OPEN)
        server.resume()
        await until(lambda: status(observatory) is EnclosureStatus.CLOSED)


async def test_a_killed_server_is_an_error_until_it_is_back(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "dome", "weather", "safety") as (observatory, server):
        dome = observatory.find(Enclosure)
        await safe(observatory)
        await dome.open()
        await server.kill()
        await until(lambda: status(observatory) not in (EnclosureStatus.OPEN, EnclosureStatus.CLOSED))
        with pytest.raises(PytelError):
            await dome.open()
        await server.restart()
        await until(lambda: status(observatory) in (EnclosureStatus.OPEN, EnclosureStatus.CLOSED))
        await safe(observatory)
        await dome.close()
        await dome.open()
