"""Virtual nights with random faults, and what must hold in each of them.

    results = run_nights(count=20, seed=1)
    assert not [result for result in results if result.violations]

A night of one seed is the same every time: `run_nights(1, seed)` repeats one that went wrong.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import tempfile
import time as wall
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from pytel.base import clock, ids, virtual
from pytel.base.errors import PytelError, Timeout
from pytel.base.units import Seconds
from pytel.bus.contract import Publication
from pytel.devices.simulated.hardware import WorldInside
from pytel.interfaces import ImageArchive, ImageArchiveState, NewImage, NightEnded
from pytel.module import ErrorRaised
from pytel.observing.night import night_at
from pytel.testing.faults import PlannedFault, carry_out, plan_faults
from pytel.testing.observatory import Observatory, default_site
from pytel.testing.seat import Heard
from pytel.testing.watcher import RoofWatcher

LONGEST_NIGHT: Seconds = 22 * 3600.0
_REMEMBERED = 60
_DIGITS = re.compile(r"\d+")
_TOLD = {"Enclosure", "EnclosureClosing", "SafetyChanged", "Module", "ErrorRaised", "Notified", "Observer", "NewImage"}


class NightResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a night went; `violations` is empty when all that must hold, held. `history` leads up to the first one."""

    seed: int
    start: datetime
    frames: int
    images: int
    faults: tuple[str, ...]
    violations: tuple[str, ...]
    history: tuple[str, ...]
    wall_time: Seconds

    def __str__(self) -> str:
        verdict = "VIOLATED" if self.violations else "held"
        night = f"night of {self.start:%Y-%m-%d}, {self.frames} frames, {len(self.faults)} faults"
        head = f"seed {self.seed}: {night}, {self.wall_time:.0f} s: {verdict}"
        if not self.violations:
            return head
        return "\n  ".join([head, *self.violations, "faults:", *self.faults, "history:", *self.history])


def run_nights(
    count: int,
    seed: int | None = None,
    *,
    faults: bool = True,
    tell: Callable[[NightResult], None] = lambda _: None,
) -> list[NightResult]:
    """Run nights one after the other, that of `seed` first, then `seed + 1` and so on (None: a fresh seed).

    `tell` is called with each result as it comes. Nothing is raised for a violation.
    """
    first = random.SystemRandom().randrange(10**9) if seed is None else seed
    results: list[NightResult] = []
    for number in range(first, first + count):
        results.append(run_night(number, faults=faults))
        tell(results[-1])
    return results


def run_night(seed: int, *, faults: bool = True) -> NightResult:
    """Run one night of the simulated observatory, without rendering, in seconds."""
    rng = random.Random(ids.derived_seed("night", seed))
    start = datetime(2026, 1, 1, 13, 0, tzinfo=UTC) + timedelta(days=rng.randrange(365))
    with tempfile.TemporaryDirectory(prefix="pytel-night-", dir=_fast_disk()) as directory:
        night = _Night(seed, rng, start, Path(directory), faults)
        return virtual.run(night.run(), start=start, seed=seed)


def _fast_disk() -> str | None:
    """A disk in memory, where there is one: nights write a lot, and nothing of it is kept."""
    memory = Path("/dev/shm")  # noqa: S108 - a directory of its own is made in it
    return str(memory) if memory.is_dir() and os.access(memory, os.W_OK) else None


class _Night:
    def __init__(self, seed: int, rng: random.Random, start: datetime, directory: Path, faults: bool) -> None:
        self._seed, self._rng, self._start, self._directory = seed, rng, start, directory
        self._with_faults = faults
        self._faults: list[PlannedFault] = []
        self._history: deque[str] = deque(maxlen=_REMEMBERED)
        self._last = ""
        self._violations: list[str] = []
        self._before: list[str] = []
        self._ended = asyncio.Event()
        self._images: list[NewImage] = []
        self._frames = 0
        self._watcher: RoofWatcher

    async def run(self) -> NightResult:
        began = wall.perf_counter()
        observatory = Observatory(self._site(), seed=self._seed, directory=self._directory, keep=_keep_nothing)
        async with observatory:
            self._watcher = await self._watch(observatory)
            await self._play(observatory)
        return NightResult(
            seed=self._seed,
            start=self._start,
            frames=self._frames,
            images=len(self._images),
            faults=tuple(f"{datetime.fromtimestamp(fault.start, UTC):%H:%M:%S} {fault}" for fault in self._faults),
            violations=tuple(self._violations),
            history=tuple(self._before),
            wall_time=wall.perf_counter() - began,
        )

    def _site(self) -> dict[str, Any]:
        site = default_site()
        site["simulation"]["weather"] = {"mode": self._rng.choice(["course", "clear", "clear"])}
        clear_after = self._rng.choice([60.0, 300.0, 600.0])
        site["modules"]["safety"] = {"type": "weather-safety", "clear_after": clear_after, "disk": None}
        site["modules"]["observer"] = {"type": "robot-observer"}
        return site

    async def _watch(self, observatory: Observatory) -> RoofWatcher:
        hardware = await observatory.world()
        if not isinstance(hardware, WorldInside):
            raise TypeError("nights are for the world in this process")
        world = hardware.world

        def broken() -> bool:
            active = (fault for fault in world.execute("faults", "list") if fault["active"])
            return any(fault["device"] == "roof" for fault in active)

        watcher = RoofWatcher(world.roof_truth, broken, world.config.roof.open_time, self._violate)
        observatory.watch(watcher.hear)
        observatory.watch(self._hear)
        observatory.watch_presence(watcher.presence)
        observatory.watch_presence(lambda module, present: self._note(module, "appears" if present else "is gone"))
        return watcher

    # what happens

    async def _play(self, observatory: Observatory) -> None:
        tasks = [asyncio.create_task(self._watcher.run(), name="watcher")]
        if self._with_faults:
            self._plan(observatory)
            tasks += [asyncio.create_task(self._carry_out(fault, observatory)) for fault in self._faults]
        try:
            async with clock.deadline(LONGEST_NIGHT):
                await self._ended.wait()
            if tasks[1:]:
                await asyncio.wait(tasks[1:], timeout=3600.0)
            await self._look_at_the_end(observatory)
        except TimeoutError:
            self._violate("the night did not end")
        finally:
            for task in tasks:
                task.cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, Exception):
                    self._violate(f"the test itself failed: {outcome!r}")

    def _plan(self, observatory: Observatory) -> None:
        times = night_at(clock.time(), observatory.site.info.location, -12.0, -18.0)
        if times is not None:
            count = self._rng.randint(2, 5)
            self._faults = plan_faults(self._rng, times.open, times.close, count)

    async def _carry_out(self, fault: PlannedFault, observatory: Observatory) -> None:
        await clock.sleep_until(fault.start)
        self._note("fault", str(fault))
        try:
            await carry_out(fault, observatory)
        except PytelError as error:
            self._violate(f"{fault} could not be played: {error}")
        self._note("fault", f"{fault.kind} is over")

    # what is noted

    def _hear(self, heard: Heard) -> None:
        message = heard.message
        if isinstance(message, NewImage):
            self._images.append(message)
        elif isinstance(message, NightEnded):
            self._frames = message.frames
            self._ended.set()
        elif isinstance(message, ErrorRaised) and message.error.name == "InternalError":
            fault = f"a fault in the code of {heard.publisher} ({message.error.source})"
            if not any(fault in known for known in self._violations):
                self._violate(f"{fault}: {message.error.message}")
        if heard.name in _TOLD:
            self._note(str(heard.publisher), f"{heard.name} {_brief(heard.data)}")

    def _note(self, who: str, what: str) -> None:
        line = f"{who} {what}"
        if (bare := _DIGITS.sub("", line)) != self._last:  # what only counts down is told once
            self._last = bare
            self._history.append(f"{clock.now():%H:%M:%S.%f} {line}")

    def _violate(self, what: str) -> None:
        self._violations.append(f"{clock.now():%Y-%m-%d %H:%M:%S} {what}")
        self._note("VIOLATION", what)
        self._before = self._before or list(self._history)

    # what must hold at the end

    async def _look_at_the_end(self, observatory: Observatory) -> None:
        hardware = await observatory.world()
        if isinstance(hardware, WorldInside):
            await clock.sleep(120.0)
            condition, opening = hardware.world.roof_truth()
            if opening > 0.0:
                self._violate(f"the night is over and the roof is {condition} ({opening:.0%} open)")
        with contextlib.suppress(Timeout):
            await observatory.until(lambda: _nothing_pending(observatory), 3600.0)
        archived = await observatory.find(ImageArchive).find_images(limit=100_000)
        known = [image.id for image in archived]
        for image in self._images:
            if image.image.id not in known:
                self._violate(f"image {image.image.id} of {image.start} was taken and is not in the archive")
        if len(known) != len(set(known)):
            self._violate("an image is in the archive twice")
        shots = [(image.task, image.exposure_index) for image in archived if image.task is not None]
        for shot in sorted({shot for shot in shots if shots.count(shot) > 1}, key=str):
            self._violate(f"exposure {shot[1]} of task {shot[0]} is in the archive twice")


def _keep_nothing(publication: Publication) -> bool:
    return False


def _nothing_pending(observatory: Observatory) -> bool:
    state = observatory.latest(ImageArchiveState)
    return state is not None and state.pending == 0


def _brief(data: Any) -> str:
    """The little that one wants to see of a message."""
    if not isinstance(data, dict):
        return str(data)
    shown = {key: value for key, value in data.items() if value not in (None, [], {}) and key not in ("boot", "since")}
    return ", ".join(f"{key}={value}" for key, value in shown.items())[:240]
