"""States, events and capabilities: the structs that modules exchange."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import ClassVar

import msgspec

from pytel.bus.contract import Topic


class Struct(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything typed that crosses a bus. Unknown fields are ignored on input."""


class State(Struct, frozen=True, kw_only=True):
    """The present condition of a module behind one interface; the last value is kept.

    The class of interface `Telescope` is called `TelescopeState`.
    """

    version: ClassVar[int] = 1


class Event(Struct, frozen=True, kw_only=True):
    """Something that happened, once, to whoever listens."""

    version: ClassVar[int] = 1


class Capabilities(Struct, frozen=True, kw_only=True):
    """What a device can do, as data; called `TelescopeCapabilities` for the interface `Telescope`."""


class ModuleState(State, frozen=True, kw_only=True):
    """How a module fares: `starting`, `ready`, `error` or `closing`."""

    status: str
    since: datetime
    module_type: str
    boot: str
    error: ErrorReport | None = None


class ErrorReport(Struct, frozen=True, kw_only=True):
    """An error as it is shown to people: where it came from and what it says."""

    source: str
    name: str
    message: str
    time: datetime


class ErrorRaised(Event, frozen=True, kw_only=True):
    """A handler, background task or device of a module failed; the module lives on."""

    error: ErrorReport


@cache
def topic_of(kind: type[State] | type[Event]) -> Topic:
    """The topic under which a state or event class travels."""
    if issubclass(kind, State):
        return Topic("state", kind.__name__.removesuffix("State"), kind.version)
    return Topic("event", kind.__name__, kind.version)
