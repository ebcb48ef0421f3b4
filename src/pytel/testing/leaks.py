"""A pytest plugin: fixtures that fail a test on what it leaves behind, and on blocking calls in async code.

pytestmark = pytest.mark.usefixtures("no_leaks", "no_blocking")
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest

from pytel.base.threads import shutdown_threads

_FAILED = pytest.StashKey[bool]()
_WATCH = pytest.StashKey["_Watch"]()
_PATIENCE = 2.0
"""Real seconds that a thread has to end after its test."""
_LASTING_THREADS = ("asyncio_", "pytest_timeout", "pytel-children")
"""Threads that end with the event loop, the test runner or (the one that starts servers) the process."""


class LeakError(AssertionError):
    """A test left something running."""


class _Watch:
    """Sees what one test and its fixtures leave behind."""

    def __init__(self) -> None:
        self._tasks: list[str] = []
        self._threads = set(threading.enumerate())
        # Where `asyncio.run`, pytest-asyncio and a virtual night all cancel in silence what is left.
        self._cancel_all: Callable[[asyncio.AbstractEventLoop], None] = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined]  # noqa: SLF001
        asyncio.runners._cancel_all_tasks = self._tell_and_cancel  # type: ignore[attr-defined]  # noqa: SLF001

    def _tell_and_cancel(self, loop: asyncio.AbstractEventLoop) -> None:
        if sys.exc_info()[0] is None:  # what ends with an exception may leave anything
            loop.run_until_complete(_settled())
            self._tasks += sorted(_described(task) for task in asyncio.all_tasks(loop))
        self._cancel_all(loop)

    def end(self) -> list[str]:
        """Stop watching and tell what was left."""
        asyncio.runners._cancel_all_tasks = self._cancel_all  # type: ignore[attr-defined]  # noqa: SLF001
        shutdown_threads()
        return self._tasks + _leaked_threads(self._threads)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Begin to watch before any fixture runs."""
    if "no_leaks" in getattr(item, "fixturenames", ()):
        item.stash[_WATCH] = _Watch()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember which tests failed: what those leave behind is no news."""
    report = yield
    if report.when == "call" and report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Fail the test when, after all fixtures have ended, something still runs."""
    try:
        return (yield)
    finally:
        watch = item.stash.get(_WATCH, None)
        leaked = watch.end() if watch else []
        if leaked and not item.stash.get(_FAILED, False):
            raise LeakError("the test left running: " + "; ".join(leaked))


@pytest.fixture
def no_leaks() -> None:
    """Fail a test that leaves asyncio tasks or threads behind."""


@pytest.fixture
def no_blocking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test when a coroutine (pytel's, or one that pytel runs) blocks the event loop.

    The blocking call raises; where a module takes that for an error of its own, the test fails at its end all the same.
    """
    import blockbuster.blockbuster as checker

    seen: list[str] = []

    class Recorded(checker.BlockingError):
        """Also found by the fixture."""

        def __init__(self, func: str) -> None:
            super().__init__(func)
            seen.append(f"{func} in {_culprit()}")

    monkeypatch.setattr(checker, "BlockingError", Recorded)
    buster = checker.BlockBuster("pytel", excluded_modules=["pytel.base.virtual", "pytel.testing"])
    for function in buster.functions.values():
        function.can_block_in("pytel/base/virtual.py", "_run_inline")
        function.can_block_in("pytel/module/module.py", "directory")  # one mkdir at the start of a module
        function.can_block_in("pytel/base/threads.py", "shutdown_threads")
        function.can_block_in("pytel/module/watchdog.py", "run")  # joins its thread at the end
        function.can_block_in("pytel/testing/observatory.py", "default_site")
        function.can_block_in("pytel/testing/nights.py", "broken")
        function.can_block_in("pytel/devices/simulated/world/world.py", "roof_truth")
        function.can_block_in("pytel/devices/simulated/hardware.py", "execute")  # the simulated world itself
        function.can_block_in("logging/__init__.py", "emit")
    buster.activate()
    yield
    buster.deactivate()
    if seen and not request.node.stash.get(_FAILED, False):
        raise AssertionError("the event loop was blocked by " + "; ".join(seen))


def _culprit() -> str:
    """The innermost line that belongs neither to the checker nor to Python."""
    for frame in reversed(traceback.extract_stack()[:-2]):
        if not any(part in frame.filename for part in ("blockbuster", "/lib/python", "<frozen")):
            return f"{frame.name} ({frame.filename}:{frame.lineno})"
    return "a place that could not be seen"


async def _settled() -> None:
    """Give tasks that are about to end a moment for it."""
    for pause in (0, 0, 0, 0.01, 0.05, 0.2):
        if len(asyncio.all_tasks()) == 1:
            return
        await asyncio.sleep(pause)


def _described(task: asyncio.Task[Any]) -> str:
    stack = task.get_stack(limit=1)
    where = f" at {stack[0].f_code.co_filename}:{stack[0].f_lineno}" if stack else ""
    return f"task {task.get_name()!r}{where}"


def _leaked_threads(known: set[threading.Thread]) -> list[str]:
    ends = time.monotonic() + _PATIENCE
    while (left := _alive(known)) and time.monotonic() < ends:
        left[0].join(0.05)
    return [f"thread {thread.name!r}" for thread in left]


def _alive(known: set[threading.Thread]) -> list[threading.Thread]:
    return [
        thread
        for thread in threading.enumerate()
        if thread not in known and thread.is_alive() and not thread.name.startswith(_LASTING_THREADS)
    ]
