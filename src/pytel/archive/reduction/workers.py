"""Where frames are computed: inline on the virtual clock, in processes of low priority, or by Dask on several hosts."""

from __future__ import annotations

import asyncio
import functools
import multiprocessing
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from pytel.archive.reduction.jobs import Product
from pytel.base import clock
from pytel.base.errors import ConnectionLost, PytelError, Timeout
from pytel.base.threads import in_thread
from pytel.base.units import Seconds
from pytel.services.timing import patient

J = TypeVar("J")
_TRIES = 3
_PATIENCE = 600.0
"""Real seconds for one job."""
_CONNECT = 20.0


class WorkerLost(PytelError):
    """The process that computed a frame died again and again; the machine may be short of memory."""


class Workers(Protocol):
    """Runs jobs; each is a plain function of its job."""

    count: int
    """How many jobs it is worth giving at once."""

    async def run(self, function: Callable[[J], Product], job: J) -> Product:
        """Run a job to its end. Raises what the function raises, `WorkerLost`, `Timeout`, `ConnectionLost`."""

    async def close(self) -> None:
        """End what runs."""


class InlineWorkers:
    """In this process: for the virtual clock, where all happens in one order."""

    count = 1

    async def run(self, function: Callable[[J], Product], job: J) -> Product:
        """Run a job."""
        return await in_thread(function, job)

    async def close(self) -> None:
        """Nothing runs on."""


class ProcessWorkers:
    """Processes of this host, of low priority, so that they take nothing from the modules that guard the roof."""

    def __init__(self, count: int, nice: int) -> None:
        self.count = count
        self._nice = nice
        # Only threads touch the pool: what it lets go of at its end writes to pipes.
        self._pool: ProcessPoolExecutor | None = None
        self._generation = 0
        self._lock = threading.Lock()

    async def run(self, function: Callable[[J], Product], job: J) -> Product:
        """Run a job; when its process dies (killed, out of memory), run it in another."""
        for _ in range(_TRIES):
            generation, future = await in_thread(self._submitted, function, job)
            try:
                async with clock.deadline(patient(_PATIENCE, _PATIENCE)):
                    return await asyncio.wrap_future(future)
            except BrokenProcessPool:
                await in_thread(self._drop, generation)
            except TimeoutError as error:
                await in_thread(self._drop, generation)
                raise Timeout(
                    f"a frame was not reduced within {_PATIENCE:.0f} s: is the machine overloaded?"
                ) from error
        raise WorkerLost(f"the process that reduces died {_TRIES} times over one frame: is there memory enough?")

    def _submitted(self, function: Callable[[J], Product], job: J) -> tuple[int, Future[Product]]:
        """Give a job to the processes; tells which generation of them."""
        with self._lock:
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(self.count, context, initializer=_begin, initargs=(self._nice,))
                self._generation += 1
            try:
                return self._generation, self._pool.submit(function, job)
            except BrokenProcessPool as error:
                broken: Future[Product] = Future()
                broken.set_exception(error)
                return self._generation, broken

    def _drop(self, generation: int) -> None:
        with self._lock:
            if self._pool is not None and self._generation == generation:
                pool, self._pool = self._pool, None
                _end(pool)

    async def close(self) -> None:
        """End the processes, in the middle of what they do: it is done again at the next start."""
        await in_thread(self._drop, self._generation)


def _begin(nice: int) -> None:
    """In a worker: stay behind everything else, and use one core."""
    os.nice(nice)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def _end(pool: ProcessPoolExecutor) -> None:
    # Ids are taken before the pool forgets its processes.
    processes = list((pool._processes or {}).values())  # noqa: SLF001 - there is no other way to end one that computes
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(5.0)


class DaskWorkers:
    """The workers of a Dask scheduler, on this host or others; a job whose worker dies goes to another."""

    def __init__(self, scheduler: str, count: int) -> None:
        self.count = count
        self.connect_within: Seconds = _CONNECT
        """Real seconds."""
        self._scheduler = scheduler
        self._client: Any = None
        self._opening = asyncio.Lock()

    async def run(self, function: Callable[[J], Product], job: J) -> Product:
        """Run a job on any worker."""
        client = await self._opened()
        future = await in_thread(functools.partial(client.submit, function, job, pure=False))
        try:
            async with clock.deadline(patient(_PATIENCE, _PATIENCE)):
                coroutine = _result(client, future, self._scheduler)
                return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, client.loop.asyncio_loop))
        except TimeoutError as error:
            raise Timeout(
                f"no Dask worker reduced a frame within {_PATIENCE:.0f} s: are there any at {self._scheduler}?"
            ) from error
        finally:
            await in_thread(future.release)

    async def _opened(self) -> Any:
        """The connection; it has a thread and an event loop of its own, as Dask's own ways block for moments."""
        async with self._opening:
            if self._client is None or self._client.status not in ("running", "connecting"):
                self._client = await in_thread(_connected, self._scheduler, self.connect_within)
        return self._client

    async def close(self) -> None:
        """Leave the scheduler."""
        client, self._client = self._client, None
        if client is not None:
            await in_thread(client.close)


def _connected(scheduler: str, within: Seconds) -> Any:
    from distributed import Client

    connect: Any = Client
    where = urlsplit(scheduler)
    try:
        # Its client leaves a thread behind when nobody answers.
        socket.create_connection((where.hostname or "", where.port or 8786), timeout=within).close()
        return connect(scheduler, timeout=within, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise ConnectionLost(f"no Dask scheduler answers at {scheduler}: start one with `dask scheduler`") from error


async def _result(client: Any, future: Any, scheduler: str) -> Product:
    """Wait for a job; runs in the client's own event loop."""
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    try:
        (product,) = await client.gather([future], asynchronous=True)
    except KilledWorker as error:
        raise WorkerLost("the workers died over one frame again and again: have they memory enough?") from error
    except FutureCancelledError as error:
        raise ConnectionLost(f"the Dask scheduler at {scheduler} is gone") from error
    found: Product = product
    return found
