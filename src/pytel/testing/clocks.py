"""Running tests on the virtual clock."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from pytel.base import virtual

T = TypeVar("T")

NIGHT = datetime(2026, 3, 1, 16, 0, tzinfo=UTC)
"""The afternoon before a long, moonlit night at the default site."""


def run(main: Callable[[], Coroutine[Any, Any, T]], *, start: datetime = NIGHT, seed: int = 1) -> T:
    """Run an async function on a virtual clock that begins at `start`; the same seed gives the same course."""
    return virtual.run(main(), start=start, seed=seed)


def on_virtual_clock(
    *, start: datetime = NIGHT, seed: int = 1
) -> Callable[[Callable[..., Coroutine[Any, Any, None]]], Callable[..., None]]:
    """Make an async test an ordinary one that runs on the virtual clock; fixtures work as usual."""

    def decorate(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
        @functools.wraps(test)
        def wrapper(*args: Any, **kwargs: Any) -> None:
            virtual.run(test(*args, **kwargs), start=start, seed=seed)

        wrapper.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
        del wrapper.__wrapped__  # or pytest-asyncio takes it for a coroutine
        return wrapper

    return decorate
