"""The simulated night over a real XMPP server, one process per module: each is killed in turn, and the server once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from night.process_night import ProcessNight, prepared
from pytel.base import clock

RATE = 60.0
"""At 60 times the speed of the sky a verdict holds for 2 real seconds (120 of the site): a module is back by then."""
HOURS = 3.0
NAMES = (
    *("control", "notifier", "store", "archive", "weather", "safety", "roof", "telescope", "camera", "focuser"),
    *("filters", "autofocus", "tasks", "observer"),
)


async def torment(night: ProcessNight, pause: float) -> None:
    """Kill each module in turn, the server in the middle, the roof's in the rain."""
    async with night.watched() as world:
        begun = clock.time()
        await night.all_ready()
        await night.until(lambda: len(night.announced) >= 2, 90)
        for number, name in enumerate(NAMES):
            if name in ("safety", "roof"):
                await world.execute(
                    "faults", "inject", device="weather", kind="weather", value="rain", start=clock.time(), duration=240
                )
            await night.kill_module(name)
            if number == len(NAMES) // 2:
                await night.kill_server()
            await asyncio.sleep(pause)
        await night.all_ready()
        before = len(night.announced)
        await night.until(lambda: len(night.announced) >= before + 3, 150)
        await night.until(lambda: clock.time() >= begun + HOURS * 3600, 600)
        await night.until(lambda: set(night.announced) <= {row[0] for row in night.archived()}, 60)


def look_at_the_end(night: ProcessNight) -> None:
    assert night.violations == []
    assert set(night.restarts) == set(NAMES)
    archived = night.archived()
    assert set(night.announced) <= {row[0] for row in archived}
    shots = Counter((task, index) for _, task, index in archived if task is not None)
    assert [shot for shot, count in shots.items() if count > 1] == []
    assert "The roof is closed" in night.printed()


@pytest.mark.slow
@pytest.mark.xdist_group("night over XMPP")
@pytest.mark.timeout(900)
async def test_three_hours_of_a_night_in_which_everything_is_killed_once(tmp_path: Path) -> None:
    night = await asyncio.to_thread(prepared, tmp_path / "night", "prosody", RATE)
    async with night.running():
        await torment(night, pause=3.0)
    look_at_the_end(night)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("server", ["prosody", "ejabberd"])
async def test_a_whole_night_in_which_everything_is_killed_once(tmp_path: Path, server: str) -> None:
    night = await asyncio.to_thread(prepared, tmp_path / "night", server, RATE)
    async with night.running():
        await torment(night, pause=20.0)
        await night.ended()
    look_at_the_end(night)
    report = json.loads((night.folder.path / "night.json").read_text())
    assert len(report["exposures"]) >= 30
