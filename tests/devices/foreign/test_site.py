"""A whole site whose telescope, roof, weather and queue belong to a foreign system: a few exposures, bad weather, and
that system killed and started again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from devices.foreign.kit import StandIn, site_at, until
from devices.foreign.test_drivers import high
from pytel.base import clock
from pytel.base.errors import ConnectionLost, PytelError, Unsafe
from pytel.base.threads import in_thread
from pytel.interfaces import (
    Enclosure,
    EnclosureState,
    EnclosureStatus,
    NewImage,
    SafetyMonitorState,
    TaskStore,
    Telescope,
    TelescopeState,
    TelescopeStatus,
)
from pytel.interfaces.tasks import Exposures, Target, Task
from pytel.module.messages import ModuleState
from pytel.testing import Observatory


def quick(tower: StandIn) -> dict[str, Any]:
    """The site of the page, with times for a test."""
    site = site_at(tower.port)
    modules = site["modules"]
    modules["weather"] |= {"period": "0.5 s"}
    modules["safety"] |= {"clear_after": "1 s"}
    modules["roof"] |= {"poll_period": "1 s"}
    return site


def is_safe(observatory: Observatory) -> bool:
    state = observatory.latest(SafetyMonitorState)
    return state is not None and state.safe


def roof(observatory: Observatory) -> EnclosureStatus | None:
    state = observatory.latest(EnclosureState)
    return None if state is None else state.status


PATIENCE = 100.0
NIGHT = datetime(2026, 6, 15, 20, tzinfo=UTC)
"""It is dark at the site, and goes on in real time: the tower knows no other."""


@pytest.fixture
def at_night() -> Iterator[None]:
    with clock.using(clock.ScaledClock(NIGHT.timestamp(), time.time(), 1.0)):
        yield


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_night_with_a_foreign_tower(tower: StandIn, tmp_path: Path, at_night: None) -> None:
    ra, dec = high()
    exposures = (Exposures(exposure_time=0.1, count=3),)
    task = Task(id="t-1", name="field", target=Target(name="field", ra=ra, dec=dec), exposures=exposures)
    async with Observatory(quick(tower), directory=tmp_path / "site") as observatory:
        await observatory.find(TaskStore).add_task(task)

        # the robot opens the foreign roof and observes what the foreign queue has
        await observatory.start("observer")
        await until(lambda: is_complete(tower, "t-1"), PATIENCE)
        assert len(observatory.heard(NewImage)) == 3
        assert (await tower.sim())["roof"]["state"] == "UP"
        slewed = (await tower.calls("telescope.slew"))[0]
        assert (slewed["ra_hours"] * 15.0, slewed["dec"]) == pytest.approx((ra, dec))

        # its weather turns bad: that system does nothing, our safety closes its roof
        await tower.sim(weather="bad")
        await until(lambda: roof(observatory) is EnclosureStatus.CLOSED, PATIENCE)
        assert (await tower.sim())["roof"] == {"state": "SHUT", "percent": 0.0}
        await observatory.stop("observer")
        with pytest.raises(Unsafe):
            await observatory.find(Enclosure).open()
        await tower.sim(weather="good")
        await until(lambda: is_safe(observatory), PATIENCE)

        # that system may refuse too, in its own words
        refusal = {"code": 4003, "message": "the dew heater is off"}
        await tower.sim(kind="error", method="roof.open", value=refusal)
        with pytest.raises(Unsafe, match="the dew heater is off"):
            await observatory.find(Enclosure).open()
        await tower.sim(clear=True)
        await until(lambda: works(observatory, ra, dec), PATIENCE)

        # it is killed with an open roof: typed errors, and the site is unsafe
        await in_thread(tower.kill)
        with pytest.raises(ConnectionLost, match=r"^telescope (cannot reach|lost)"):
            await observatory.find(Telescope).move_radec(ra, dec)
        with pytest.raises(ConnectionLost):
            await observatory.find(TaskStore).list_tasks()
        await until(lambda: not is_safe(observatory), PATIENCE)
        await until(lambda: in_error(observatory, "roof") and in_error(observatory, "weather"), PATIENCE)

        # it comes back with the roof open, which is closed at once, and then all works again
        await in_thread(tower.start)
        await until(lambda: shut(tower), PATIENCE)
        await until(lambda: is_safe(observatory), PATIENCE)
        await until(lambda: works(observatory, ra, dec), PATIENCE)
        await until(lambda: not in_error(observatory, "roof") and not in_error(observatory, "weather"), PATIENCE)
        await observatory.find(Telescope).park()
        await until(lambda: observatory.state(TelescopeState).status is TelescopeStatus.PARKED)
    assert await shut(tower)


def in_error(observatory: Observatory, module: str) -> bool:
    states = [heard.message for heard in observatory.events if str(heard.publisher) == module]
    last = [state for state in states if isinstance(state, ModuleState)]
    return bool(last) and last[-1].status == "error"


async def is_complete(tower: StandIn, ref: str) -> bool:
    return bool((await tower.sim())["queue"][ref]["state"] == "COMPLETE")


async def shut(tower: StandIn) -> bool:
    return bool((await tower.sim())["roof"]["state"] == "SHUT")


async def works(observatory: Observatory, ra: float, dec: float) -> bool:
    with contextlib.suppress(PytelError):
        await observatory.find(Telescope).move_radec(ra, dec)
        await observatory.find(Enclosure).open()
        return roof(observatory) is EnclosureStatus.OPEN
    return False
