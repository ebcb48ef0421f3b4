from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytel.automation.control import LeaseControl
from pytel.base import clock
from pytel.base.errors import ControlHeld
from pytel.interfaces.control import Control, ControlState
from pytel.services import Module

Run = Callable[[Callable[[Any], Any]], Any]


async def begin(bench: Any) -> tuple[Control, Control, Module]:
    await bench.start("control", LeaseControl)
    alice, bob = await bench.start("alice", Module), await bench.start("bob", Module)
    return alice.find(Control), bob.find(Control), alice


def test_one_holds_and_the_other_is_told_until_when(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        alice, bob, watcher = await begin(bench)
        lease = await alice.take()
        assert lease.holder == "alice"
        with pytest.raises(ControlHeld, match="alice has control until"):
            await bob.take()
        await clock.sleep(30)
        await alice.renew()
        await clock.sleep(50)
        with pytest.raises(ControlHeld):
            await bob.take()
        await clock.sleep(11)
        assert watcher.latest(ControlState) == ControlState()
        with pytest.raises(ControlHeld, match="expired"):
            await alice.renew()
        assert (await bob.take()).holder == "bob"

    bench(scenario)


def test_release_and_take_over(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        alice, bob, watcher = await begin(bench)
        await alice.take()
        await bob.release()
        assert (await bob.take_over()).holder == "bob"
        with pytest.raises(ControlHeld):
            await alice.renew()
        await bob.release()
        await clock.sleep(0.1)
        assert watcher.latest(ControlState) == ControlState()
        await alice.take()

    bench(scenario)


def test_a_lease_outlives_a_crash(bench: Run) -> None:
    async def scenario(bench: Any) -> None:
        alice, bob, _ = await begin(bench)
        await alice.take()
        await bench.crash("control")
        await bench.start("control", LeaseControl)
        with pytest.raises(ControlHeld):
            await bob.take()
        await clock.sleep(61)
        await bob.take()

    bench(scenario)
