"""The fixtures catch what they are for, and let pass what is right."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

HEAD = """
import asyncio, threading, time, pathlib
import pytest
from pytel.base import clock
from pytel.base.threads import in_thread
from pytel.bus.address import Address
from pytel.services import Module, every
from pytel.testing import alone, on_virtual_clock

pytestmark = pytest.mark.usefixtures("no_leaks", "no_blocking")

class Sleeper(Module):
    @every(1.0)
    async def poll(self) -> None:
        BODY
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makepyprojecttoml("[tool.pytest.ini_options]\nasyncio_mode = 'auto'\n")
    return pytester


def outcome(suite: pytest.Pytester, body: str, expected: str, poll: str = "pass") -> None:
    suite.makepyfile(HEAD.replace("BODY", poll) + body)
    result = suite.runpytest_subprocess("-q", "-p", "no:cacheprovider")
    if expected:
        result.stdout.fnmatch_lines([f"*{expected}*"])
        assert result.ret == 1
    else:
        assert result.ret == 0, result.stdout.str()


def test_what_is_left_behind_fails_the_test(suite: pytest.Pytester) -> None:
    outcome(
        suite,
        """
tasks = set()

async def test_task() -> None:
    tasks.add(asyncio.create_task(asyncio.sleep(60), name="forgotten"))

@on_virtual_clock()
async def test_virtual_task() -> None:
    tasks.add(asyncio.create_task(asyncio.sleep(60), name="forgotten in the night"))

def test_thread() -> None:
    threading.Thread(target=time.sleep, args=(4,), name="forgotten thread").start()

def test_fine() -> None:
    pass
""",
        "4 passed, 3 errors*",
    )


def test_what_ends_in_time_is_fine(suite: pytest.Pytester) -> None:
    outcome(
        suite,
        """
@pytest.fixture
async def server(tmp_path):
    server = await asyncio.start_unix_server(lambda reader, writer: writer.close(), tmp_path / "s")
    task = asyncio.create_task(asyncio.sleep(60))
    yield tmp_path / "s"
    task.cancel()
    server.close()

async def test_fixture(server) -> None:
    reader, writer = await asyncio.open_unix_connection(server)
    await reader.read()
    writer.close()

async def test_module() -> None:
    async with alone(Sleeper):
        await asyncio.sleep(0.05)
        await in_thread(time.sleep, 0.01)

def test_thread() -> None:
    threading.Thread(target=time.sleep, args=(0.3,)).start()

async def test_blocking_in_the_test_itself(tmp_path) -> None:
    (tmp_path / "file").write_text("a")

@on_virtual_clock()
async def test_files_in_a_thread(tmp_path) -> None:
    await in_thread((tmp_path / "file").write_text, "a")
""",
        "",
    )


def test_a_module_that_blocks_the_loop_fails_the_test(suite: pytest.Pytester) -> None:
    outcome(
        suite,
        """
async def test_blocking() -> None:
    async with alone(Sleeper):
        await asyncio.sleep(0.05)

@on_virtual_clock()
async def test_blocking_in_the_night() -> None:
    async with alone(Sleeper):
        await clock.sleep(5)
""",
        "the event loop was blocked by time.sleep in poll (*",
        poll="time.sleep(0.01)",
    )
