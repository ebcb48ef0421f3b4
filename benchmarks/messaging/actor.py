"""What all contestants do alike: take orders on stdin, answer on stdout, measure. The standard library only.

An order is a line of JSON, `{"do": "calls", …}`, and so is its answer. Times are `time.perf_counter`, which on Linux
all processes share.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any, Protocol


class Actor(Protocol):
    """One process of a contestant; it can do what its role needs, and no more."""

    async def start(self) -> None:
        """Connect; returns when it serves."""

    async def call(self, value: float) -> float:
        """Have the callee give the value back."""

    async def publish(self, kind: str, number: int) -> None:
        """Publish an event or a state that carries a number."""


class Heard:
    """What the modules that listen in one process have heard: module, kind, number, when."""

    def __init__(self) -> None:
        self._heard: list[tuple[int, str, int, float]] = []

    def note(self, module: int, kind: str, number: int) -> None:
        """Write down that a module's handler was called."""
        self._heard.append((module, kind, number, time.perf_counter()))

    def taken(self) -> list[tuple[int, str, int, float]]:
        """All since the last time."""
        taken, self._heard = self._heard, []
        return taken


def tell(**content: Any) -> None:
    """Answer."""
    print(json.dumps(content), flush=True)


async def serve(actor: Actor, heard: Heard | None = None) -> None:
    """Start, and do as ordered until stdin ends."""
    await actor.start()
    gc.collect()
    tell(ready=True)
    async for order in _orders():
        what = order.pop("do")
        if what == "calls":
            tell(**await measured_calls(actor, **order))
        elif what == "publish":
            tell(sent=await published(actor, **order))
        elif what == "heard" and heard is not None:
            tell(heard=heard.taken())
        else:
            raise ValueError(f"this process cannot {what}")


async def measured_calls(actor: Actor, *, count: int, in_flight: int) -> dict[str, Any]:
    """Call `count` times with `in_flight` under way; raises when one answer is not what was sent."""
    numbers = iter(range(count))
    seconds: list[float] = []

    async def work() -> None:
        for number in numbers:
            value = number + 0.5
            begun = time.perf_counter()
            answer = await actor.call(value)
            seconds.append(time.perf_counter() - begun)
            if answer != value:
                raise AssertionError(f"{value} came back as {answer}")

    spent, begun = time.process_time(), time.perf_counter()
    await asyncio.gather(*(work() for _ in range(in_flight)))
    wall, spent = time.perf_counter() - begun, time.process_time() - spent
    if len(seconds) != count:
        raise AssertionError(f"{count} calls, {len(seconds)} answers")
    return {"seconds": seconds, "wall": wall, "processor": spent}


async def published(actor: Actor, *, kind: str, first: int, count: int, pause: float) -> list[tuple[int, float]]:
    """Publish numbers, one after each pause; returns when each was handed over."""
    sent = []
    for number in range(first, first + count):
        sent.append((number, time.perf_counter()))
        await actor.publish(kind, number)
        await asyncio.sleep(pause)
    return sent


async def _orders() -> AsyncIterator[dict[str, Any]]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)
