"""The life of a module: stopped while it starts, started by somebody, and what goes wrong in between."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pytel.base import clock, virtual
from pytel.base.errors import Cancelled, ConnectionLost, DeviceError
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.contract import Call, Card, Origin, Role, current_origin
from pytel.bus.local import LocalHub
from pytel.module import Event, Interface, rpc, watchdog
from pytel.module.handlers import every, on
from pytel.module.module import Module
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo

T = TypeVar("T")
START = datetime(2026, 6, 15, 16, 0, tzinfo=UTC)
SITE = SiteInfo(name="test", location=Location(latitude=0, longitude=0), seed=1, state_dir=Path("unused"))


def run(main: Coroutine[Any, Any, T]) -> T:
    return virtual.run(main, start=START)


def runtime(kind: type[Module], name: str, hub: LocalHub) -> ModuleRuntime:
    return ModuleRuntime(kind, site=SITE, bus=hub.bus(Address(name)))


class Slow(Module):
    """Takes its time to start, and to stop."""

    started = stopped = polls = 0
    origins: tuple[str, ...] = ()

    async def on_start(self) -> None:
        self.origins += (self.origin.name,)
        await clock.sleep(10)
        self.started += 1

    async def on_stop(self) -> None:
        await clock.sleep(10)
        self.stopped += 1

    @every(1.0)
    async def poll(self) -> None:
        self.polls += 1
        self.origins += (self.origin.name,)


def slow(carrier: ModuleRuntime) -> Slow:
    assert isinstance(carrier.module, Slow)
    return carrier.module


def test_a_module_that_is_stopped_while_it_starts_does_not_live_on() -> None:
    async def main() -> None:
        carrier = runtime(Slow, "slow", LocalHub())
        starting = asyncio.create_task(carrier.start())
        await clock.sleep(5)
        await carrier.stop()
        with pytest.raises(Cancelled):
            await starting
        await clock.sleep(60)
        assert (slow(carrier).started, slow(carrier).polls) == (0, 0)

    run(main())


def test_a_stop_is_carried_through_even_if_nobody_waits_for_it() -> None:
    async def main() -> None:
        hub = LocalHub()
        carrier = runtime(Slow, "slow", hub)
        await carrier.start()
        stopping = asyncio.create_task(carrier.stop())
        await clock.sleep(5)
        stopping.cancel()
        await carrier.stop()  # waits for the first one
        assert slow(carrier).stopped == 1
        assert not hub.members

    run(main())


def test_what_a_module_does_by_itself_is_in_its_own_name_whoever_started_it() -> None:
    async def main() -> None:
        carrier = runtime(Slow, "slow", LocalHub())
        current_origin.set(Origin("cli/alice", Role.ADMIN))
        await carrier.start()
        await clock.sleep(2)
        assert set(slow(carrier).origins) == {"slow"}
        await carrier.stop()

    run(main())


class Poked(Event, frozen=True, kw_only=True):
    """Somebody poked."""


class Haunted(Module):
    """Waits for what others cancel."""

    polls = pokes = 0

    @every(10.0)
    async def poll(self) -> None:
        self.polls += 1
        if self.polls == 2:
            await stray()

    @on(Poked)
    async def poked(self, event: Poked) -> None:
        self.pokes += 1
        if self.pokes == 1:
            await stray()

    async def on_stop(self) -> None:
        await stray()


async def stray() -> None:
    other = asyncio.create_task(clock.sleep(10))
    asyncio.get_running_loop().call_soon(other.cancel)
    await other


def test_a_stray_cancellation_ends_no_loop_no_handler_and_no_stop(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        hub = LocalHub()
        carrier, poker = runtime(Haunted, "haunted", hub), runtime(Module, "poker", hub)
        await carrier.start()
        await poker.start()
        haunted = carrier.module
        assert isinstance(haunted, Haunted)
        await clock.sleep(15)
        assert carrier.lifecycle.status == "error"
        for _ in range(2):
            poker.publish(Poked())
            await clock.sleep(1)
        await clock.sleep(10)
        assert (haunted.polls, haunted.pokes) == (3, 2)
        assert carrier.lifecycle.status == "ready"
        await carrier.stop()
        assert Address("haunted") not in hub.members
        await poker.stop()

    run(main())
    assert "did not stop cleanly" in caplog.text


class Deaf(Module):
    """Fails at each poke, and says so."""

    @on(Poked)
    async def poked(self, event: Poked) -> None:
        raise DeviceError("poking hurts")


def test_a_handler_that_fails_again_and_again_is_told_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> list[Any]:
        hub = LocalHub()
        carrier, poker = runtime(Deaf, "deaf", hub), runtime(Module, "poker", hub)
        await carrier.start()
        await poker.start()
        heard: list[Any] = []
        topic = "ErrorRaised"
        poker.bus.subscribe(None, lambda news: heard.append(news) if news.topic.name == topic else None)
        for _ in range(5):
            poker.publish(Poked())
            await clock.sleep(1)
        await carrier.stop()
        await poker.stop()
        return heard

    assert len(run(main())) == 1
    assert caplog.text.count("poking hurts") == 1


def test_a_poll_comes_again_after_its_period_though_the_clock_was_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    class Timed(Slow):
        async def on_start(self) -> None: ...

        @every(0.02)
        async def poll(self) -> None:
            self.polls += 1
            if self.polls == 1:
                real = clock.RealClock().time
                monkeypatch.setattr(clock.RealClock, "time", lambda self: real() - 3600)

        async def on_stop(self) -> None: ...

    async def main() -> None:
        carrier = runtime(Timed, "timed", LocalHub())
        await carrier.start()
        await asyncio.sleep(0.2)
        assert slow(carrier).polls > 2
        await carrier.stop()

    asyncio.run(main())


def test_spawned_work_that_never_began_leaves_no_warning() -> None:
    async def main() -> None:
        carrier = runtime(Module, "m", LocalHub())
        await carrier.start()
        carrier.module.spawn(clock.sleep(1))
        await carrier.crash()

    run(main())


class Crane(Interface):
    """Lifts."""

    @rpc(long=True)
    async def lift(self) -> None:
        """Lift."""
        raise NotImplementedError


class Unreachable:
    """Lets no call through for a while."""

    begun = 0

    async def handle_call(self, call: Call) -> Any:
        if clock.time() < START.timestamp() + 12:
            raise ConnectionLost("a cut line")
        self.begun += call.method == "lift"
        return {"job": "1", "eta": None}


def test_a_start_that_was_given_up_does_not_get_through_later() -> None:
    async def main() -> None:
        hub = LocalHub()
        crane, carrier = Unreachable(), runtime(Module, "caller", hub)
        await hub.bus(Address("crane")).open(crane, Card(interfaces=(Crane.urn(),), boot="1"))
        await carrier.start()

        async def lift() -> None:
            await carrier.module.find(Crane).lift()

        lifting = asyncio.create_task(lift())
        await clock.sleep(1)
        lifting.cancel()
        await clock.sleep(30)
        assert lifting.cancelled()
        assert crane.begun == 0
        await carrier.stop()

    run(main())


def test_the_watchdog_knows_an_installed_pytel_from_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site_packages = tmp_path / "site-packages"
    monkeypatch.setattr(watchdog, "_PYTEL", site_packages / "pytel")
    asleep = compile("def rest(look):\n    return look()", str(site_packages / "pytel" / "dome.py"), "exec")
    library = compile("def run(work, look):\n    return work(look)", str(site_packages / "starter" / "main.py"), "exec")
    names: dict[str, Any] = {}
    exec(asleep, names)
    exec(library, names)
    lib_look = compile("def look():\n    return sys._getframe()", str(site_packages / "lib.py"), "exec")
    names["sys"] = sys
    exec(lib_look, names)
    assert watchdog._culprit(names["run"](names["rest"], names["look"])).startswith("rest (")
