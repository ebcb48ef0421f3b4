"""The modules that play in the contract suite."""

from __future__ import annotations

import asyncio
from datetime import datetime
from enum import StrEnum

from pytel.base import clock
from pytel.base.errors import DeviceError, PytelError
from pytel.base.units import Fraction, Seconds
from pytel.module import Capabilities, Event, Interface, Role, State, Struct, rpc
from pytel.module.handlers import on
from pytel.module.module import Module


class Colour(StrEnum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


class Parcel(Struct, frozen=True, kw_only=True):
    """A struct with what needs converting."""

    when: datetime
    colour: Colour = Colour.RED
    inner: tuple[Parcel, ...] = ()


class OddError(DeviceError):
    """A fault of this suite's own."""


class Echo(Interface):
    """Short calls of all kinds."""

    @rpc()
    async def say(self, word: str, times: int = 1) -> str:
        """Repeat a word."""
        raise NotImplementedError

    @rpc()
    async def parcel(self, parcel: Parcel, share: Fraction = 0.5) -> Parcel:
        """Hand a parcel back."""
        raise NotImplementedError

    @rpc()
    async def fail(self, with_bug: bool = False) -> None:
        """Raise."""
        raise NotImplementedError

    @rpc(role=Role.VIEWER)
    async def whoami(self) -> str:
        """Tell on whose behalf one is called."""
        raise NotImplementedError

    @rpc(role=Role.OPERATOR)
    async def operate(self) -> None:
        """Do what only operators may."""
        raise NotImplementedError

    @rpc(role=Role.MODULE)
    async def between_modules(self) -> None:
        """Do what only modules may."""
        raise NotImplementedError

    @rpc(control=True)
    async def steer(self) -> None:
        """Do what needs the lease."""
        raise NotImplementedError


class Relay(Interface):
    """Passes a question on."""

    @rpc()
    async def ask(self) -> str:
        """Ask the echo who calls."""
        raise NotImplementedError

    @rpc(long=True)
    async def ask_slowly(self) -> str:
        """Ask it out of a job."""
        raise NotImplementedError


class WorkerState(State, frozen=True, kw_only=True):
    """How much was done."""

    done: int


class Worked(Event, frozen=True, kw_only=True):
    """Something was done."""

    number: int


class WorkerCapabilities(Capabilities, frozen=True, kw_only=True):
    """How many hands there are."""

    hands: int


class Worker(Interface, state=WorkerState, events=(Worked,), capabilities=WorkerCapabilities):
    """Long calls of all kinds, in real seconds."""

    @rpc(long=True, exclusive="hands")
    async def work(self, seconds: Seconds) -> str:
        """Work alone."""
        raise NotImplementedError

    @rpc(long=True, exclusive="hands", queues=True)
    async def queue(self, seconds: Seconds) -> str:
        """Work when the hands are free."""
        raise NotImplementedError

    @rpc(long=True, deadline=0.05)
    async def dawdle(self) -> None:
        """Take longer than allowed."""
        raise NotImplementedError

    @rpc(long=True)
    async def stumble(self) -> None:
        """Fail after a moment."""
        raise NotImplementedError

    @rpc(long=True, control=True)
    async def move(self) -> None:
        """Do what needs the lease."""
        raise NotImplementedError

    @rpc()
    async def tell(self, number: int) -> None:
        """Publish a state and an event."""
        raise NotImplementedError


class EchoModule(Module, Echo):
    """Answers."""

    async def say(self, word: str, times: int = 1) -> str:
        return " ".join([word] * times)

    async def parcel(self, parcel: Parcel, share: Fraction = 0.5) -> Parcel:
        return Parcel(when=parcel.when, colour=Colour.BLUE, inner=(parcel,))

    async def fail(self, with_bug: bool = False) -> None:
        if with_bug:
            raise ZeroDivisionError("a bug")
        raise OddError("it is odd", device=self.name)

    async def whoami(self) -> str:
        return f"{self.origin.name} as {self.origin.role.value}"

    async def operate(self) -> None: ...

    async def between_modules(self) -> None: ...

    async def steer(self) -> None: ...


class RelayModule(Module, Relay):
    """Passes on."""

    async def ask(self) -> str:
        return await self.find(Echo).whoami()

    @rpc(long=True)
    async def ask_slowly(self) -> str:
        await asyncio.sleep(0.01)
        return await self.find(Echo).whoami()


class WorkerModule(Module, Worker):
    """Works."""

    ended: str = ""

    def capabilities(self) -> list[Capabilities]:
        return [WorkerCapabilities(hands=2)]

    @rpc(long=True)
    async def work(self, seconds: Seconds) -> str:
        try:
            for step in range(10):
                self.report_progress(step / 10)
                await asyncio.sleep(seconds / 10)
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        self.ended = "done"
        return f"worked for {self.origin.name}"

    def estimate_work(self, seconds: Seconds) -> Seconds:
        return seconds

    @rpc(long=True)
    async def queue(self, seconds: Seconds) -> str:
        await asyncio.sleep(seconds)
        return f"queued for {self.origin.name}"

    @rpc(long=True)
    async def dawdle(self) -> None:
        await clock.sleep(30)

    @rpc(long=True)
    async def stumble(self) -> None:
        await asyncio.sleep(0.01)
        raise OddError("it is odd", device=self.name)

    @rpc(long=True)
    async def move(self) -> None: ...

    async def tell(self, number: int) -> None:
        self.publish(WorkerState(done=number))
        self.publish(Worked(number=number))


class Listener(Module):
    """Writes down what workers tell; slow on request."""

    pause: float = 0.0

    async def on_start(self) -> None:
        self.events: list[tuple[str, int]] = []
        self.states: list[tuple[str, int]] = []
        self.running = self.most_at_once = 0

    @on(Worked, queue=10)
    async def worked(self, event: Worked) -> None:
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        await asyncio.sleep(self.pause)
        self.running -= 1
        if event.number < 0:
            raise PytelError("I do not like negative numbers")
        self.events.append((str(self.sender()), event.number))

    @on(WorkerState)
    async def state(self, state: WorkerState) -> None:
        await asyncio.sleep(self.pause)
        self.states.append((str(self.sender()), state.done))


class Caller(Module):
    """Stands in for any module that calls others: tests use its `find` and `latest`."""


class EagerWorker(WorkerModule):
    """Publishes before anybody asks."""

    async def on_start(self) -> None:
        self.publish(WorkerState(done=-1))
