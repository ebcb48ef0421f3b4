from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from pytel.base import clock, ids, virtual
from pytel.base.threads import in_thread

START = datetime(2026, 6, 15, 16, 0, tzinfo=UTC)


def test_a_virtual_night_takes_no_time() -> None:
    async def night() -> datetime:
        await clock.sleep(12 * 3600)
        return clock.now()

    before = time.monotonic()
    assert virtual.run(night(), start=START) == datetime(2026, 6, 16, 4, 0, tzinfo=UTC)
    assert time.monotonic() - before < 5


def test_timers_fire_in_order_of_site_time() -> None:
    fired: list[int] = []

    async def after(seconds: int) -> None:
        await clock.sleep(seconds)
        fired.append(seconds)

    async def main() -> None:
        await asyncio.gather(*(after(seconds) for seconds in (30, 10, 20, 3600)))

    virtual.run(main(), start=START)
    assert fired == [10, 20, 30, 3600]


def test_deadline_is_site_time() -> None:
    async def main() -> float:
        begun = clock.time()
        with pytest.raises(TimeoutError):
            async with clock.deadline(100):
                await clock.sleep(1000)
        return clock.time() - begun

    assert virtual.run(main(), start=START) == pytest.approx(100)


def test_sockets_and_processes_need_external() -> None:
    async def main() -> None:
        with pytest.raises(virtual.VirtualTimeError, match="external"):
            await asyncio.open_connection("127.0.0.1", 1)
        with pytest.raises(virtual.VirtualTimeError, match="external"):
            await asyncio.create_subprocess_exec("true")
        with virtual.external(), pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection("127.0.0.1", 1)

    virtual.run(main(), start=START)


def test_standing_still_is_an_error_not_a_hang() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(virtual.VirtualTimeError, match="stands still"):
        virtual.run(main(), start=START)


def test_threads_run_inline_and_in_order() -> None:
    async def main() -> list[int]:
        done: list[int] = []
        await asyncio.gather(*(in_thread(done.append, number) for number in range(5)))
        return done

    assert virtual.run(main(), start=START) == [0, 1, 2, 3, 4]


def test_ids_come_from_the_seed_and_sort_by_time() -> None:
    async def some() -> list[str]:
        made = []
        for _ in range(20):
            made.append(ids.new_id())
            await clock.sleep(1)
        return made

    first, again = virtual.run(some(), start=START, seed=7), virtual.run(some(), start=START, seed=7)
    assert first == again == sorted(first)
    assert virtual.run(some(), start=START, seed=8) != first


def test_ids_of_one_instant_sort_in_the_order_they_were_made() -> None:
    async def some() -> list[str]:
        return [ids.new_id() for _ in range(100)]

    made = virtual.run(some(), start=START)
    assert made == sorted(set(made))
    assert all(map(ids.is_id, made))
    assert not ids.is_id("../../etc/passwd")


async def test_a_scaled_clock_runs_faster() -> None:
    with clock.using(clock.ScaledClock(START.timestamp(), time.time(), rate=1000.0)):
        begun, real = clock.time(), time.monotonic()
        await clock.sleep(50)
        assert 50 <= clock.time() - begun < 10_000
        assert time.monotonic() - real < 10
        await clock.sleep_until(clock.time() + 20)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_clock_needs_a_positive_rate(rate: float) -> None:
    with pytest.raises(ValueError, match="rate"):
        clock.ScaledClock(0.0, 0.0, rate)


def test_what_still_runs_at_the_end_of_a_night_ends_by_its_clock() -> None:
    code = """
import asyncio
from pytel.base import clock, virtual
async def lasting():
    try:
        await clock.sleep(1e6)
    finally:
        print(clock.time())
async def main():
    global task
    task = asyncio.create_task(lasting())
    await clock.sleep(10)
virtual.run(main(), start=1000.0)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(told.stdout) == 1010.0


async def test_sleep_until_sees_a_clock_that_was_set_forward(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_LONGEST_SLEEP", 0.02)
    scaled = clock.ScaledClock(site_epoch=1e9, real_epoch=time.time(), rate=1.0)
    with clock.using(scaled):
        asyncio.get_running_loop().call_later(0.01, setattr, scaled, "real_epoch", scaled.real_epoch - 3600)
        async with asyncio.timeout(10):
            await clock.sleep_until(1e9 + 1800)
