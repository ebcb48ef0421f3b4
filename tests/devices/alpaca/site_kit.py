"""A site whose devices are those of an Alpaca server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from alpaca_kit import until
from pytel.base.errors import PytelError
from pytel.base.location import Location
from pytel.module import ModuleState
from pytel.testing import Observatory

KNOWN: dict[str, dict[str, Any]] = {
    "focuser": {"type": "alpaca-focuser"},
    "wheel": {"type": "alpaca-filter-wheel"},
    "rotator": {"type": "alpaca-rotator", "rate": "30 deg/s"},
    "dome": {"type": "alpaca-dome", "opening_time": "2 s", "closing_time": "2 s"},
    "safety": {"type": "alpaca-safety", "clear_after": "1 s"},
    # The simulated mount tells 0 and counts in J2000.
    "telescope": {"type": "alpaca-telescope", "coordinates": "J2000", "sun_distance": "0 deg", "settle_time": "0.2 s"},
    "guider": {"type": "alpaca-guide-port"},
    "camera": {"type": "alpaca-camera", "readout_time": "2 s"},
    "weather": {"type": "alpaca-weather", "period": 1},
    "cover": {"type": "alpaca-cover"},
    "power": {"type": "alpaca-switch"},
}
PLACE = Location(latitude=50.0, longitude=10.0, elevation=300.0)
ACTS = tuple(name for name in KNOWN if name != "safety")


@contextlib.asynccontextmanager
async def site_of(
    server: str,
    folder: Path,
    *names: str,
    place: Location = PLACE,
    also: dict[str, Any] | None = None,
    **more: dict[str, Any],
) -> AsyncIterator[Observatory]:
    """A site with these devices and the modules `also`; `more` changes what is written of some."""
    stored = {"store": {"type": "directory-store"}} if "camera" in names else {}
    stored |= also or {}
    site = {
        "site": {
            "name": "alpaca",
            "latitude": place.latitude,
            "longitude": place.longitude,
            "elevation": place.elevation,
        },
        "bus": "local",
        "modules": {name: {**KNOWN[name], "server": server, **more.get(name, {})} for name in names} | stored,
    }
    async with Observatory(site, directory=folder / "site") as observatory:
        yield observatory


def standing(observatory: Observatory) -> dict[str, str]:
    """The last state of each module."""
    told = [(str(heard.publisher), heard.message) for heard in observatory.events]
    return {sender: said.status for sender, said in told if isinstance(said, ModuleState)}


async def all_are(observatory: Observatory, status: str, *names: str) -> None:
    """Wait until these modules are so."""
    await until(lambda: all(standing(observatory).get(name) == status for name in names))


async def works_again(act: Callable[[], Awaitable[Any]]) -> None:
    """Try until it succeeds."""
    async with asyncio.timeout(60.0):
        while True:
            try:
                await act()
            except PytelError:
                await asyncio.sleep(0.5)
            else:
                return


async def value(server: str, member: str) -> Any:
    """What a simulator itself tells."""
    connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(f"http://{server}/api/v1/{member}") as response,
    ):
        return (await response.json())["Value"]


async def put(server: str, member: str, **form: str) -> None:
    """Set something of a simulator behind the back of the drivers."""
    connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.put(f"http://{server}/api/v1/{member}", data=form) as response,
    ):
        assert response.status == 200, await response.text()
