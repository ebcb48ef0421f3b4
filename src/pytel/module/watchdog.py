"""Notices when the event loop stands still, and names what holds it up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import FrameType

Report = Callable[[float, str], None]
_LOOP = Path(asyncio.__file__).parent
_STDLIB = _LOOP.parent
_PYTEL = Path(__file__).parents[1]
_log = logging.getLogger("pytel.watchdog")


class StallWatchdog:
    """Watches one event loop from a thread; reports each stall longer than `limit` real seconds once."""

    def __init__(self, limit: float = 0.5, report: Report | None = None) -> None:
        self._limit = limit
        self._report = report or _warn
        self._beat = time.monotonic()
        self._stopped = threading.Event()
        self._loop_thread = threading.get_ident()

    async def run(self) -> None:
        """Beat until cancelled."""
        self._loop_thread = threading.get_ident()
        self._beat = time.monotonic()
        watcher = threading.Thread(target=self._watch, name="pytel-watchdog", daemon=True)
        watcher.start()
        try:
            while True:
                self._beat = time.monotonic()
                await asyncio.sleep(self._limit / 5)
        finally:
            self._stopped.set()
            watcher.join(timeout=2.0)

    def _watch(self) -> None:
        reported = 0.0
        while not self._stopped.wait(self._limit / 4):
            beat = self._beat
            stalled = time.monotonic() - beat
            if stalled > self._limit and beat != reported:
                reported = beat
                self._report(stalled, _culprit(sys._current_frames().get(self._loop_thread)))  # noqa: SLF001


def _culprit(frame: FrameType | None) -> str:
    """Where the loop's thread stands: the innermost line, and the innermost one that is pytel's or the user's."""
    if frame is None:
        return "a place that could not be seen"
    stack = traceback.extract_stack(frame)
    served = max((index for index, entry in enumerate(stack) if _is_loop(entry.filename)), default=-1)
    running = stack[served + 1 :] or stack  # what the loop has called, not what has called the loop
    own = [entry for entry in running if not _is_library(entry.filename)]
    entry = own[-1] if own else running[-1]
    return f"{entry.name} ({entry.filename}:{entry.lineno}): {entry.line}"


def _is_loop(file: str) -> bool:
    return Path(file).parent == _LOOP


def _is_library(file: str) -> bool:
    """Whether a file is neither pytel's (installed or not) nor the user's."""
    path = Path(file)
    return not path.is_relative_to(_PYTEL) and ("site-packages" in path.parts or path.is_relative_to(_STDLIB))


def _warn(stalled: float, culprit: str) -> None:
    _log.warning("the event loop has stood still for %.1f s in %s; use in_thread() for blocking work", stalled, culprit)


@contextlib.asynccontextmanager
async def watched(limit: float = 0.5, report: Report | None = None) -> AsyncIterator[None]:
    """Watch the running event loop for the length of a block."""
    task = asyncio.create_task(StallWatchdog(limit, report).run(), name="stall watchdog")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
