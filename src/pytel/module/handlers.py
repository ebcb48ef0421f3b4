"""Decorators for what a module does by itself: hear (`on`), poll (`every`), run along (`background`)."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Literal, TypeVar

import msgspec

from pytel.base.units import Seconds
from pytel.module.messages import Event, State

F = TypeVar("F", bound=Callable[..., Awaitable[None]])
Policy = Literal["all", "latest"]


class OnSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to hear one kind of state or event."""

    kind: type[State] | type[Event]
    policy: Policy
    queue: int
    everywhere: bool


class EverySpec(msgspec.Struct, frozen=True, kw_only=True):
    """Something done again and again; `period` is seconds of site time, or the name of a config field."""

    period: float | str


class BackgroundSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Something that runs as long as the module does."""


Spec = OnSpec | EverySpec | BackgroundSpec


def on(
    kind: type[State] | type[Event],
    *,
    policy: Policy | None = None,
    queue: int = 100,
    everywhere: bool = False,
) -> Callable[[F], F]:
    """Call the method for each event or state of this kind, one at a time and in order.

    - `policy`: "all" keeps up to `queue` of them waiting and reports what overflows; "latest" keeps the newest only.
      Events default to all, states to latest.
    - `everywhere`: hear every group of the site, not only one's own and the shared modules.
    """
    chosen: Policy = policy or ("latest" if issubclass(kind, State) else "all")
    return _marker(OnSpec(kind=kind, policy=chosen, queue=queue, everywhere=everywhere))


def every(period: Seconds | str) -> Callable[[F], F]:
    """Call the method every `period` seconds of site time, the first time at once.

    `period` may be the name of a config field. An exception becomes the module's error state until a call succeeds.
    """
    return _marker(EverySpec(period=period))


def background(function: F) -> F:
    """Run the method as long as the module does; when it raises it is restarted, after a pause that grows."""
    return _marker(BackgroundSpec())(function)


def _marker(spec: Spec) -> Callable[[F], F]:
    def mark(function: F) -> F:
        if not _is_async(function):
            raise TypeError(f"{function!r} must be an async method")
        function.__specs__ = [*getattr(function, "__specs__", ()), spec]  # type: ignore[attr-defined]
        return function

    return mark


def specs_of(kind: type) -> list[tuple[str, Spec]]:
    """All that a module class does by itself, as (method name, what), in a stable order."""
    found: dict[str, list[Spec]] = {}
    for base in reversed(kind.__mro__):
        for name, member in vars(base).items():
            if hasattr(member, "__specs__"):
                found[name] = list(member.__specs__)
    return [(name, spec) for name, specs in found.items() for spec in specs]


def _is_async(function: object) -> bool:
    return inspect.iscoroutinefunction(function)
