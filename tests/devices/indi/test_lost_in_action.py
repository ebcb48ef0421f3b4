"""What moves when the server dies or a stop is asked for: wheels, rotators, guide ports, domes and roofs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from indi_kit import Starter
from pytel.base.errors import Cancelled, ConnectionLost
from pytel.interfaces import (
    Enclosure,
    EnclosureState,
    EnclosureStatus,
    FilterWheel,
    FilterWheelState,
    GuideDirection,
    GuidePort,
    GuidePortState,
    MotionStatus,
    Rotator,
    RotatorState,
    SafetyMonitorState,
)
from pytel.testing import Observatory

from .site_kit import site_of, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def turn(observatory: Observatory) -> Awaitable[Any]:
    return observatory.find(Rotator).move_mechanical(300.0)


def turns(observatory: Observatory) -> bool:
    return observatory.state(RotatorState).status is MotionStatus.MOVING


def guide(observatory: Observatory) -> Awaitable[Any]:
    return observatory.find(GuidePort).pulse_guide(GuideDirection.NORTH, 5.0)


def guides(observatory: Observatory) -> bool:
    state = observatory.latest(GuidePortState)
    return state is not None and state.dec is GuideDirection.NORTH


def wheel(observatory: Observatory) -> Awaitable[Any]:
    return observatory.find(FilterWheel).set_filter("LPR")


def wheels(observatory: Observatory) -> bool:
    return observatory.state(FilterWheelState).status is MotionStatus.MOVING


MOVES = {"rotator": (turn, turns), "guider": (guide, guides), "wheel": (wheel, wheels)}


@pytest.mark.parametrize("name", MOVES)
async def test_the_server_dies_in_mid_motion(indi_server: Starter, tmp_path: Path, name: str) -> None:
    begin, moves = MOVES[name]
    async with site_of(indi_server, tmp_path, name) as (observatory, server):

        async def act() -> None:
            await begin(observatory)

        acting = asyncio.ensure_future(act())
        await until(lambda: moves(observatory))
        await server.kill()
        with pytest.raises(ConnectionLost):
            await acting
        await server.restart()


async def test_a_pulse_is_stopped(indi_server: Starter, tmp_path: Path) -> None:
    async with site_of(indi_server, tmp_path, "guider") as (observatory, _):

        async def act() -> None:
            await guide(observatory)

        acting = asyncio.ensure_future(act())
        await until(lambda: guides(observatory))
        await observatory.find(GuidePort).stop_guide()
        with pytest.raises(Cancelled):
            await acting
        await until(lambda: not guides(observatory))
        await observatory.find(GuidePort).pulse_guide(GuideDirection.SOUTH, 0.2)


@pytest.mark.parametrize("name", ["dome", "roof"])
async def test_an_opening_is_stopped_and_one_loses_its_server(indi_server: Starter, tmp_path: Path, name: str) -> None:
    async with site_of(indi_server, tmp_path, name, "weather", "safety") as (observatory, server):
        enclosure = observatory.find(Enclosure)

        def status() -> EnclosureStatus | None:
            state = observatory.latest(EnclosureState)
            return state.status if state else None

        async def begin() -> asyncio.Future[None]:
            await until(lambda: (state := observatory.latest(SafetyMonitorState)) and state.safe)
            await until(lambda: (state := observatory.latest(EnclosureState)) and state.may_open)

            async def act() -> None:
                await enclosure.open()

            acting = asyncio.ensure_future(act())
            await until(lambda: status() is EnclosureStatus.OPENING, told=status)
            return acting

        opening = await begin()
        await enclosure.stop()
        with pytest.raises(Cancelled):
            await opening
        await until(lambda: status() is not EnclosureStatus.OPENING, told=status)
        assert status() is not EnclosureStatus.OPEN
        await enclosure.close()
        opening = await begin()
        await server.kill()
        with pytest.raises(ConnectionLost):
            await opening
        await server.restart()
