"""From each source to the roof: it closes within 2 s of danger, and within 30 s of the loss of who would tell it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from pytel.base import clock
from pytel.base.errors import PytelError
from pytel.interfaces import Enclosure, EnclosureClosing, EnclosureState, SafetyMonitor
from pytel.sky.almanac import next_crossing
from pytel.testing import Observatory, on_virtual_clock
from pytel.testing.observatory import default_site
from pytel.testing.seat import Heard

Act = Callable[[Observatory, Path], Awaitable[Any]]


def site(folder: Path) -> dict[str, Any]:
    """Two monitors, one of which follows a file, and what the first of them requires."""
    modules = {
        name: entry for name, entry in default_site()["modules"].items() if name in ("notifier", "weather", "roof")
    }
    modules["safety"] = {
        "type": "weather-safety",
        "primary": True,
        "clear_after": 0,
        "required": ["weather", "notifier", "hoster"],
    }
    modules["hoster"] = {
        "type": "text-safety",
        "path": str(folder / "roof.txt"),
        "safe": r"\bOPEN\b",
        "clear_after": 0,
        "max_age": "40 s",
    }
    return {**default_site(), "modules": modules}


def write(folder: Path, text: str) -> None:
    (folder / "roof.txt").write_text(text)
    os.utime(folder / "roof.txt", (clock.time(), clock.time()))


async def rain(observatory: Observatory, folder: Path) -> None:
    await observatory.inject("weather", "weather", value="rain")
    await clock.sleep(5.0)  # the station reports every 5 s


async def hoster_closes(observatory: Observatory, folder: Path) -> None:
    write(folder, "CLOSED")


async def hoster_lies(observatory: Observatory, folder: Path) -> None:
    write(folder, "\0" * 100_000)


async def somebody_declares(observatory: Observatory, folder: Path) -> None:
    await observatory.find(SafetyMonitor).declare_unsafe("somebody is on the roof")


async def file_goes(observatory: Observatory, folder: Path) -> None:
    (folder / "roof.txt").unlink()


async def file_grows_old(observatory: Observatory, folder: Path) -> None:
    await clock.sleep(40.0)


async def sensors_go(observatory: Observatory, folder: Path) -> None:
    await observatory.inject("weather", "silent")


def crash(module: str) -> Act:
    async def end(observatory: Observatory, folder: Path) -> None:
        await observatory.crash(module)

    return end


def stop(module: str) -> Act:
    async def end(observatory: Observatory, folder: Path) -> None:
        await observatory.stop(module)

    return end


DANGER = [rain, hoster_closes, somebody_declares, file_grows_old, stop("roof")]
LOSS = [
    *(hoster_lies, file_goes, sensors_go),
    *(crash(name) for name in ("weather", "safety", "hoster", "notifier")),
    *(stop(name) for name in ("weather", "safety", "hoster", "notifier")),
]


async def seconds_until_it_closes(act: Act, folder: Path) -> float:
    async with Observatory(site(folder)) as observatory:
        write(folder, "OPEN")
        night = next_crossing(-1.0, clock.time(), observatory.site.info.location, rising=False)
        assert night is not None
        await clock.sleep_until(night)
        write(folder, "OPEN")
        await observatory.until(lambda: observatory.state(EnclosureState).may_open, 60.0)
        await observatory.find(Enclosure).open()
        write(folder, "OPEN")
        await clock.sleep(7.0)
        before = len(observatory.events)
        await act(observatory, folder)
        begun = clock.time()

        def closing() -> Heard | None:
            later = (heard for heard in observatory.events[before:] if isinstance(heard.message, EnclosureClosing))
            return next(later, None)

        while closing() is None and clock.time() < begun + 60.0:
            if act not in (file_goes, file_grows_old, hoster_closes, hoster_lies):
                write(folder, "OPEN")
            await clock.sleep(0.05)
        found = closing()
        assert found is not None, "it does not close"
        await clock.sleep(0.1)
        try:
            assert observatory.state(EnclosureState).closed_because, "it closes for no reason"
        except PytelError:
            assert act in DANGER  # the roof was stopped
        return found.time - begun


@pytest.mark.slow
@pytest.mark.parametrize("act", DANGER, ids=lambda act: act.__qualname__)
@on_virtual_clock()
async def test_danger_closes_within_two_seconds(tmp_path: Path, act: Act) -> None:
    assert await seconds_until_it_closes(act, tmp_path) <= 2.0


@pytest.mark.slow
@pytest.mark.parametrize("act", LOSS, ids=lambda act: act.__qualname__)
@on_virtual_clock()
async def test_a_lost_source_closes_within_thirty_seconds(tmp_path: Path, act: Act) -> None:
    assert await seconds_until_it_closes(act, tmp_path) <= 30.0
