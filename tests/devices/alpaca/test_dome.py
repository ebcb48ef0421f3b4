"""Domes of Alpaca as the simulators have none: one that refuses, one that is slaved, one that turns while it closes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from alpaca_kit import until
from pytel.base.errors import Cancelled, Unsafe
from pytel.interfaces.enclosure import Enclosure, EnclosureState, EnclosureStatus
from pytel.interfaces.safety import SafetyMonitorState
from pytel.interfaces.telescope import Telescope, TelescopeState, TelescopeStatus
from pytel.services import Module, every
from pytel.testing import Observatory

from .site_kit import site_of
from .stand_in import SILENCE, Fault, StandIn

pytestmark = pytest.mark.slow
OPEN, CLOSED, OPENING, CLOSING, BROKEN = range(5)
REFUSED = Fault(0x40B)


class Pointer(Module, Telescope):
    """A telescope as far as a dome is concerned: it looks at one place."""

    @every(1.0)
    async def tell(self) -> None:
        """Tell where."""
        self.publish(TelescopeState(status=TelescopeStatus.TRACKING, az=90.0, alt=50.0, ra=0.0, dec=0.0))


class Shutter:
    """A shutter that is on its way until a test says that it has arrived."""

    def __init__(self, device: StandIn) -> None:
        self.device, self.status, self.safe, self.slaved = device, CLOSED, True, False
        self.refuses: tuple[int, ...] = ()
        device.values |= {
            "dome/cansetshutter": True,
            "dome/cansetazimuth": True,
            "dome/shutterstatus": lambda given: self.status,
            "dome/slaved": lambda given: self.slaved,
            "dome/slewing": False,
            "dome/azimuth": 10.0,
            "safetymonitor/issafe": lambda given: self.safe,
        }
        device.commands |= {
            "dome/openshutter": self._open,
            "dome/closeshutter": self._close,
            "dome/abortslew": self._abort,
            "dome/slewtoazimuth": None,
        }

    def _open(self, given: Mapping[str, str]) -> None:
        self.status = OPENING

    def _close(self, given: Mapping[str, str]) -> None:
        if self.status in self.refuses:
            raise REFUSED
        if self.status != CLOSED:
            self.status = CLOSING

    def _abort(self, given: Mapping[str, str]) -> None:
        self.status = BROKEN

    def since(self, number: int) -> list[str]:
        return [name.removeprefix("dome/") for name in self.device.names()[number:]]


def status(observatory: Observatory) -> EnclosureStatus:
    return observatory.state(EnclosureState).status


@contextlib.asynccontextmanager
async def dome(folder: Path, *, points: bool = False, **config: Any) -> AsyncIterator[tuple[Shutter, Observatory]]:
    also = {"pointer": {"type": f"{__name__}:Pointer"}} if points else {}
    times = {"opening_time": "20 s", "closing_time": "20 s", **config}
    async with StandIn({}) as device:
        shutter = Shutter(device)
        async with site_of(device.address, folder, "dome", "safety", also=also, dome=times) as observatory:
            await until(lambda: observatory.latest(SafetyMonitorState) and observatory.latest(EnclosureState))
            try:
                await until(lambda: observatory.state(EnclosureState).may_open, 20.0)
                await until(lambda: status(observatory) is EnclosureStatus.CLOSED, 20.0)
                yield shutter, observatory
            finally:  # a module that ends closes its dome first
                device.commands["dome/closeshutter"] = lambda given: setattr(shutter, "status", CLOSED)
                shutter.status = CLOSED


@contextlib.asynccontextmanager
async def opening(observatory: Observatory) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(_await(observatory.find(Enclosure).open()))
    await until(lambda: status(observatory) is EnclosureStatus.OPENING)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_opening_that_refuses_to_close_is_stopped_first(tmp_path: Path) -> None:
    async with dome(tmp_path) as (shutter, observatory), opening(observatory) as task:
        shutter.refuses = (OPENING,)
        before = len(shutter.device.done)
        shutter.safe = False
        await until(lambda: shutter.status == CLOSING)
        assert shutter.since(before) == ["closeshutter", "abortslew", "closeshutter"]
        with pytest.raises(Unsafe):
            await task
        shutter.status = CLOSED
        await until(lambda: status(observatory) is EnclosureStatus.CLOSED)


async def test_a_closing_shutter_is_never_stopped(tmp_path: Path) -> None:
    async with dome(tmp_path) as (shutter, observatory):
        shutter.status, shutter.refuses = CLOSING, (CLOSING,)
        before = len(shutter.device.done)
        shutter.safe = False
        await until(lambda: "closeshutter" in shutter.since(before))
        await asyncio.sleep(1.5)
        assert set(shutter.since(before)) == {"closeshutter"}
        shutter.status = CLOSED
        await until(lambda: status(observatory) is EnclosureStatus.CLOSED)
        assert set(shutter.since(before)) == {"closeshutter"}


async def test_a_closing_whose_server_falls_silent_is_not_stopped_until_it_is_late(tmp_path: Path) -> None:
    async with dome(tmp_path, closing_time="6 s") as (shutter, observatory):
        shutter.status = OPEN
        before = len(shutter.device.done)
        shutter.safe = False
        await until(lambda: shutter.status == CLOSING)
        told = shutter.device.values["dome/shutterstatus"]
        shutter.device.values["dome/shutterstatus"] = SILENCE
        await until(lambda: status(observatory) is EnclosureStatus.ERROR)
        await asyncio.sleep(2.0)
        shutter.device.values["dome/shutterstatus"] = told
        await asyncio.sleep(2.0)
        assert set(shutter.since(before)) == {"closeshutter"}
        await until(lambda: "abortslew" in shutter.since(before))
        await until(lambda: shutter.since(before)[-1] == "closeshutter")


async def test_the_slit_follows_unless_it_is_slaved_or_the_dome_closes(tmp_path: Path) -> None:
    async with dome(tmp_path, points=True) as (shutter, observatory):
        await until(lambda: "slewtoazimuth" in shutter.since(0))
        assert {given["Azimuth"] for name, given in shutter.device.done if "slewto" in name} == {"90.0"}
        shutter.slaved = True
        await until(lambda: observatory.state(EnclosureState).azimuth is None)
        slaved = len(shutter.device.done)
        await asyncio.sleep(2.5)
        assert "slewtoazimuth" not in shutter.since(slaved)

        shutter.status = OPEN
        shutter.slaved, shutter.safe = False, False
        await until(lambda: shutter.status == CLOSING)
        closing = len(shutter.device.done)
        await asyncio.sleep(4.5)
        assert shutter.since(closing) == [], "a dome that closes has nothing else to do"
        shutter.status = CLOSED
        await until(lambda: "slewtoazimuth" in shutter.since(closing))


async def test_an_opening_is_stopped_and_what_it_says_is_told(tmp_path: Path) -> None:
    async with dome(tmp_path, poll_period="0.5 s") as (shutter, observatory), opening(observatory) as task:
        await observatory.find(Enclosure).stop()
        with pytest.raises(Cancelled):
            await task
        assert "abortslew" in shutter.since(0)
        await until(lambda: status(observatory) is EnclosureStatus.ERROR)
        shutter.status = 7
        await until(lambda: status(observatory) is EnclosureStatus.UNKNOWN)


async def _await(job: Any) -> None:
    await job
