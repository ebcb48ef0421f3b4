"""What all modules that are offered as INDI devices share: vectors, jobs behind them, and what is told when."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from indipydriver import Device, NumberMember, NumberVector, SwitchMember, SwitchVector, TextMember, TextVector

from pytel.base.errors import InvalidParams, PytelError, wrap

if TYPE_CHECKING:
    from pytel.services import Module

IDLE, OK, BUSY, ALERT = "Idle", "Ok", "Busy", "Alert"
_MAIN = "Main"


def numbers(name: str, label: str, perm: str, **members: tuple[float, float, float]) -> NumberVector:
    """A vector of numbers: lowest, highest (equal: none told) and value of each member."""
    made = [
        NumberMember(member, member, "%.6f", lowest, highest, 0, value)
        for member, (lowest, highest, value) in members.items()
    ]
    return NumberVector(name, label, _MAIN, perm, IDLE, made)


def switches(name: str, label: str, rule: str, perm: str = "rw", **members: bool) -> SwitchVector:
    """A vector of switches."""
    made = [SwitchMember(member, member, "On" if on else "Off") for member, on in members.items()]
    return SwitchVector(name, label, _MAIN, perm, rule, IDLE, made)


def texts(name: str, label: str, **members: str) -> TextVector:
    """A vector of texts that is only told."""
    made = [TextMember(member, member, value) for member, value in members.items()]
    return TextVector(name, label, _MAIN, "ro", OK, made)


class Offered(ABC):
    """One module as one INDI device."""

    interface = 0
    """The bits of DRIVER_INTERFACE."""

    def __init__(self, module: Module, name: str) -> None:
        self.module, self.name = module, name
        self.vectors: dict[str, Any] = {}
        self._busy: set[str] = set()
        self._told: dict[str, tuple[str, tuple[Any, ...]]] = {}

    async def device(self) -> Device:
        """The INDI device. Raises `PytelError` when the module cannot be asked what it can do."""
        common = (
            switches("CONNECTION", "Connection", "OneOfMany", CONNECT=True, DISCONNECT=False),
            texts(
                "DRIVER_INFO",
                "Driver",
                DRIVER_NAME="pytel",
                DRIVER_EXEC="pytel",
                DRIVER_VERSION="1",
                DRIVER_INTERFACE=str(self.interface),
            ),
        )
        self.vectors = {vector.name: vector for vector in (*common, *await self.make_vectors())}
        return Device(self.name, list(self.vectors.values()))

    @abstractmethod
    async def make_vectors(self) -> tuple[Any, ...]:
        """The vectors of this kind of device."""

    @abstractmethod
    async def asked(self, name: str, values: dict[str, Any]) -> None:
        """A client asks for new values of a vector: numbers as float, switches as bool. Raises `PytelError`."""

    @abstractmethod
    async def update(self) -> None:
        """Tell what has changed."""

    async def take(self, event: Any) -> None:
        """Do what a client asks for; what is wrong is an Alert with the reason in words."""
        name = event.vectorname
        if name == "CONNECTION":
            await self.tell(name, OK, on_off(CONNECT=True, DISCONNECT=False), force=True)
            return
        try:
            await self.asked(name, _values_of(event))
        except PytelError as error:
            await self._refuse(name, error)

    async def tell(self, name: str, state: str, values: dict[str, Any] | None = None, *, force: bool = False) -> None:
        """Tell the members of a vector, if they or its state are others than before."""
        values = values or {}
        now = state, tuple(values.items())
        if not force and self._told.get(name) == now:
            return
        self._told[name] = now
        vector = self.vectors[name]
        for member, value in values.items():
            vector[member] = value
        await vector.send_setVector(state=state)

    def run(self, name: str, work: Awaitable[Any], done: dict[str, Any] | None = None) -> None:
        """Do something that takes its time: the vector is Busy until it is done, with the values `done` then."""
        self.module.spawn(self._run(name, work, done or {}), f"{self.name} {name}")

    def is_busy(self, name: str) -> bool:
        """Whether what a client asked of a vector is still being done."""
        return name in self._busy

    async def _run(self, name: str, work: Awaitable[Any], done: dict[str, Any]) -> None:
        self._busy.add(name)
        self._told.pop(name, None)
        await self.vectors[name].send_setVector(state=BUSY)
        try:
            await work
        except PytelError as error:
            self._busy.discard(name)
            await self._refuse(name, error)
        else:
            self._busy.discard(name)
            await self.tell(name, OK, done, force=True)
        finally:
            self._busy.discard(name)

    async def _refuse(self, name: str, error: PytelError) -> None:
        told = wrap(error)
        self._told.pop(name, None)
        await self.vectors[name].send_setVector(state=ALERT, message=f"{told.name}: {told.message}")


def _values_of(event: Any) -> dict[str, Any]:
    """What a client sent. Raises `InvalidParams` for what is no number."""
    values: dict[str, Any] = {}
    for member in event:
        raw = event[member]
        if raw in ("On", "Off"):
            values[member] = raw == "On"
        elif hasattr(event, "getfloatvalue"):
            values[member] = _number(event, member)
        else:
            values[member] = raw
    return values


def _number(event: Any, member: str) -> float:
    try:
        number = float(event.getfloatvalue(member))
    except (TypeError, ValueError) as error:
        raise InvalidParams(f"{member} is {event[member]!r}, which is no number") from error
    if not math.isfinite(number):
        raise InvalidParams(f"{member} is {event[member]!r}, which is no number")
    return number


def wanted(values: dict[str, Any], member: str) -> Any:
    """One of the values. Raises `InvalidParams` when it is missing."""
    if member not in values:
        raise InvalidParams(f"{member} is missing")
    return values[member]


def on_off(**members: bool) -> dict[str, str]:
    """Switches as the protocol has them."""
    return {member: "On" if on else "Off" for member, on in members.items()}
