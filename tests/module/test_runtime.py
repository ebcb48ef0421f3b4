from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pytel.base import clock, virtual
from pytel.base.errors import DeviceError, InternalError, NotReady
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.contract import CallOptions
from pytel.bus.local import LocalHub
from pytel.interfaces.focuser import Focuser, FocuserCapabilities, FocuserState
from pytel.interfaces.motion import MotionStatus
from pytel.module import Capabilities, ErrorRaised, Interface, Job, ModuleState, rpc
from pytel.module.handlers import background, every, on
from pytel.module.interface import methods_of
from pytel.module.module import Module
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.module.watchdog import watched

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    return virtual.run(main, start=datetime(2026, 6, 15, 16, 0, tzinfo=UTC))


def runtime(kind: type[Module], name: str, hub: LocalHub) -> ModuleRuntime:
    site = SiteInfo(
        name="test", location=Location(latitude=0, longitude=0), seed=1, state_dir=Path("unused"), simulation=None
    )
    return ModuleRuntime(kind, site=site, bus=hub.bus(Address(name)))


class Pinged(Interface):
    """Answers."""

    @rpc()
    async def ping(self) -> None:
        """Do nothing."""
        raise NotImplementedError


class Moody(Module, Pinged):
    """A module whose device needs three tries, and whose loops fail at times."""

    def __init__(self, carrier: ModuleRuntime) -> None:
        super().__init__(carrier)
        self.starts = self.polls = self.rounds = 0

    async def on_start(self) -> None:
        self.starts += 1
        if self.starts < 3:
            raise DeviceError("the focuser does not answer", device=self.name)

    @every(10.0)
    async def poll(self) -> None:
        self.polls += 1
        if 3 <= self.polls <= 5:
            raise DeviceError("no reading", device=self.name)

    @background
    async def watch(self) -> None:
        self.rounds += 1
        await clock.sleep(100)
        if self.rounds < 3:
            raise ZeroDivisionError("a bug")


class Witness(Module):
    """Writes down what others tell."""

    def __init__(self, carrier: ModuleRuntime) -> None:
        super().__init__(carrier)
        self.states: list[str] = []
        self.errors: list[tuple[str, str]] = []

    @on(ModuleState, policy="all")
    async def state(self, state: ModuleState) -> None:
        self.states.append(state.status)

    @on(ErrorRaised)
    async def error(self, event: ErrorRaised) -> None:
        self.errors.append((event.error.source, event.error.name))


def test_a_module_whose_device_is_late_starts_when_it_comes() -> None:
    async def main() -> tuple[Witness, Moody]:
        hub = LocalHub()
        witness, moody = runtime(Witness, "witness", hub), runtime(Moody, "moody", hub)
        await witness.start()
        await moody.start()
        assert moody.lifecycle.status == "starting"
        options = CallOptions(timeout=1.0)
        with pytest.raises(NotReady, match="does not answer"):
            await witness.bus.call(Address("moody"), "ping", {}, options)
        async with clock.deadline(30):
            await moody.until_ready()
        await clock.sleep(25)
        assert moody.lifecycle.status == "error"
        await clock.sleep(600)
        assert moody.lifecycle.status == "ready"
        assert isinstance(witness.module, Witness)
        assert isinstance(moody.module, Moody)
        await moody.stop()
        await clock.sleep(1)
        await witness.stop()
        return witness.module, moody.module

    witness, moody = run(main())
    assert moody.starts == 3
    assert moody.rounds == 3
    assert moody.polls > 50
    assert witness.states[0] == "starting"
    assert witness.states[-1] == "closing"
    assert witness.errors.count(("start", "DeviceError")) == 1
    assert witness.errors.count(("poll", "DeviceError")) == 1
    assert ("watch", "InternalError") in witness.errors


class Plain(Module, Focuser):
    """A focuser."""

    position = 0.0

    def capabilities(self) -> list[Capabilities]:
        return [FocuserCapabilities(min_position=0, max_position=10, step=0.1)]

    @rpc(long=True)
    async def set_focus(self, position: float) -> None:
        await clock.sleep(5)
        self.position = position
        self.publish(FocuserState(status=MotionStatus.IDLE, position=position))


def test_the_description_has_units_states_and_capabilities() -> None:
    async def main() -> Any:
        focuser = runtime(Plain, "focuser", LocalHub())
        return focuser.describe()

    document = run(main())
    methods = {method["name"]: method for method in document["methods"]}
    assert methods["set_focus"]["params"][0]["schema"] == {"type": "number", "unit": "mm"}
    assert methods["set_focus"]["x-pytel"]["long"] is True
    assert document["x-pytel"]["interfaces"] == ["urn:pytel:interface:Focuser:1"]
    assert "urn:pytel:state:Focuser:1" in document["x-pytel"]["publishes"]
    assert document["x-pytel"]["capabilities"]["FocuserCapabilities"]["max_position"] == 10


def test_a_missing_parameter_in_an_implementation_is_found_when_it_is_made() -> None:
    class Careless(Module, Focuser):
        """Forgot the position."""

        @rpc(long=True)
        async def set_focus(self) -> None:  # type: ignore[override]
            """Move."""

    with pytest.raises(TypeError, match="lacks the parameter 'position'"):
        methods_of(Careless)


def test_a_state_that_breaks_its_own_type_is_refused_where_it_is_published() -> None:
    async def main() -> None:
        focuser = runtime(Plain, "focuser", LocalHub())
        await focuser.start()
        with pytest.raises(InternalError, match=r"the FocuserState that focuser publishes .*temperature"):
            focuser.publish(FocuserState(status=MotionStatus.IDLE, temperature=-300.0))
        await focuser.stop()

    run(main())


def test_an_interface_names_its_state_as_an_argument() -> None:
    with pytest.raises(TypeError, match="instead of state in its body"):

        class Odd(Interface):
            """Sets its state where nobody looks."""

            state = FocuserState


def test_an_untyped_parameter_is_refused() -> None:
    class Vague(Interface):
        """Nobody knows."""

        @rpc()
        async def act(self, thing) -> None:  # type: ignore[no-untyped-def]
            """Act."""

    with pytest.raises(TypeError, match="no type for its parameter 'thing'"):
        methods_of(Vague)


def test_a_long_method_called_at_home_is_a_job_too() -> None:
    async def main() -> float:
        focuser = runtime(Plain, "focuser", LocalHub())
        await focuser.start()
        assert isinstance(focuser.module, Plain)
        job = focuser.module.set_focus(3.0)
        assert isinstance(job, Job)
        await job
        await focuser.stop()
        return focuser.module.position

    assert run(main()) == 3.0


async def test_the_watchdog_names_what_holds_up_the_loop() -> None:
    reports: list[tuple[float, str]] = []

    def dawdle() -> None:
        time.sleep(0.6)

    async with watched(0.2, lambda stalled, culprit: reports.append((stalled, culprit))):
        await asyncio.sleep(0.1)
        dawdle()
        await asyncio.sleep(0.1)
    assert len(reports) == 1
    assert "dawdle" in reports[0][1]
    assert __file__ in reports[0][1]
