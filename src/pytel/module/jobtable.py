"""Long calls as the callee keeps them."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import math
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from pytel.base import clock, ids
from pytel.base.errors import Cancelled, NotFound, PytelError, Timeout, wrap
from pytel.base.units import Seconds
from pytel.bus.contract import Builtin, Call
from pytel.module.exclusive import Exclusive
from pytel.module.jobs import JobReport, JobStatus
from pytel.module.lifecycle import is_asked_to_end, stray_cancellation
from pytel.module.rpc import DEFAULT_JOB_DEADLINE, Method, to_builtins

KEEP = 3600.0
"""Real seconds for which the result of a job can be fetched."""
KEEP_MOST = 500
LONGEST_ESTIMATE = 1e8
"""Seconds of site time; who estimates more (or no number at all) cannot tell."""

current_job: contextvars.ContextVar[RunningJob | None] = contextvars.ContextVar("current_job", default=None)
Work = Callable[[], Coroutine[Any, Any, Any]]


class RunningJob:
    """One job: its task, and what it tells of itself."""

    def __init__(self, method: Method, call: Call, estimate: Seconds | None) -> None:
        self.id = ids.new_id()
        self.method = method
        self.call = call
        self.status = JobStatus.QUEUED
        self.started = clock.now()
        self.estimate = _believable(estimate)
        self.ends = clock.time() + self.estimate if self.estimate is not None else None
        self.progress: float | None = None
        self.result: Builtin = None
        self.error: PytelError | None = None
        self.over = asyncio.Event()
        self.over_at: float | None = None
        self.task: asyncio.Task[None] | None = None
        self.taken: object | None = None
        self.deadline = method.options.deadline or max(DEFAULT_JOB_DEADLINE, 3 * (self.estimate or 0.0))
        self._cancelled = False
        self._limit: asyncio.Timeout | None = None

    @property
    def until(self) -> datetime | None:
        """When it should be done, in site time."""
        return self.started + timedelta(seconds=self.ends - self.started.timestamp()) if self.ends is not None else None

    @property
    def eta(self) -> Seconds | None:
        """Seconds of site time still to go."""
        if self.status.is_over:
            return 0.0
        return max(0.0, self.ends - clock.time()) if self.ends is not None else None

    def begin(self) -> asyncio.Timeout:
        """Leave the queue: from now on estimate and deadline count."""
        self.status = JobStatus.RUNNING
        if self.estimate is not None:
            self.ends = clock.time() + self.estimate
        self._limit = clock.deadline(self.deadline)
        return self._limit

    @property
    def is_late(self) -> bool:
        """Whether its deadline has ended it, or is about to."""
        return self._limit is not None and self._limit.expired()

    def cancel(self) -> None:
        """Ask the task to end, once: a second time would cut short what it does to leave its device in order."""
        if self.task is not None and not self._cancelled and not self.is_late:
            self._cancelled = True
            self.task.cancel()

    def report(self) -> Builtin:
        """Tell how it stands, as builtins."""
        return to_builtins(
            JobReport(
                job=self.id,
                method=self.method.name,
                status=self.status,
                origin=self.call.origin.name,
                started=self.started,
                progress=1.0 if self.status is JobStatus.DONE else self.progress,
                eta=self.eta,
                result=self.result,
                error=dict(self.error.to_wire()) if self.error else None,
            )
        )


class JobTable:
    """The jobs of one module."""

    def __init__(self, exclusive: Exclusive, log: logging.Logger) -> None:
        self._jobs: dict[str, RunningJob] = {}
        self._by_call: dict[tuple[str, str], RunningJob] = {}
        self._finished: deque[RunningJob] = deque()
        self._exclusive = exclusive
        self._log = log

    def known(self, call: Call) -> RunningJob | None:
        """The job that an earlier attempt of this call has started."""
        return self._by_call.get(_key(call)) if call.call_id else None

    def start(self, method: Method, call: Call, work: Work, estimate: Seconds | None) -> RunningJob:
        """Start a job, or return the one that the same call id started before. Raises `Busy`."""
        self._forget_old()
        if known := self.known(call):
            return known
        job = RunningJob(method, call, estimate)
        if not method.options.queues:
            job.taken = self._exclusive.occupy(method, call, job.until)
        self._jobs[job.id] = job
        if call.call_id:
            self._by_call[_key(call)] = job
        job.task = asyncio.create_task(self._run(job, work), name=f"job {method.name}")
        return job

    async def _run(self, job: RunningJob, work: Work) -> None:
        current_job.set(job)
        try:
            if job.taken is None:
                job.taken = await self._exclusive.wait_and_occupy(job.method, job.call, job.until)
            async with job.begin():
                job.result = to_builtins(await work())
            job.status = JobStatus.DONE
        except asyncio.CancelledError:
            if is_asked_to_end():
                self._cancelled(job)
            else:
                job.status, job.error = JobStatus.FAILED, stray_cancellation(job.method.name)
        except Exception as error:  # noqa: BLE001 - kept as the job's error, for whoever asks
            job.status, job.error = JobStatus.FAILED, self._explained(job, error)
        finally:
            self._end(job)

    def _cancelled(self, job: RunningJob) -> None:
        job.status, job.error = JobStatus.CANCELLED, Cancelled(f"{job.method.name} was cancelled")

    def _end(self, job: RunningJob) -> None:
        self._exclusive.free(job.taken)
        job.over_at = clock.real_time()
        job.over.set()
        self._finished.append(job)

    def _explained(self, job: RunningJob, error: Exception) -> PytelError:
        if isinstance(error, TimeoutError):
            return Timeout(f"{job.method.name} was not done within {job.deadline:g} s") if job.is_late else wrap(error)
        if not isinstance(error, PytelError):
            self._log.error("%s failed by a fault in the module (job %s)", job.method.name, job.id, exc_info=error)
        return wrap(error)

    def get(self, job_id: str) -> RunningJob:
        """Look a job up. Raises `NotFound`."""
        if job_id not in self._jobs:
            raise NotFound(f"there is no job {job_id}: it ended long ago, or the module has restarted")
        return self._jobs[job_id]

    async def wait(self, job_id: str, timeout: float) -> RunningJob:
        """Wait until a job is over, up to `timeout` real seconds."""
        job = self.get(job_id)
        if not job.over.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, min(timeout, 60.0))):
                    await job.over.wait()
        return job

    async def cancel(self, job_id: str) -> RunningJob:
        """Cancel a job and wait until it has stopped."""
        job = self.get(job_id)
        if job.task is not None and not job.over.is_set():
            job.cancel()
            await asyncio.wait([job.task])
            if not job.over.is_set():  # cancelled before its first step
                self._cancelled(job)
                self._end(job)
        return job

    def all(self) -> list[RunningJob]:
        """All jobs still known, oldest first."""
        return list(self._jobs.values())

    async def cancel_all(self, patience: Seconds = 30.0) -> None:
        """Cancel whatever runs (the module ends), all at once; what does not end in `patience` is cut short."""
        running = {asyncio.ensure_future(self.cancel(job.id)): job for job in self.all() if not job.over.is_set()}
        if not running:
            return
        await asyncio.wait(running, timeout=patience / clock.current().rate)
        stuck = [waiting for waiting in running if not waiting.done()]
        for waiting in stuck:
            job = running[waiting]
            self._log.error(
                "%s did not end within %g s of its cancellation (job %s)", job.method.name, patience, job.id
            )
            if job.task is not None:
                job.task.cancel()
        if stuck:
            await asyncio.wait(stuck, timeout=1.0)
        for waiting in stuck:
            waiting.cancel()

    def abandon(self) -> None:
        """Drop all at once, as a crash does."""
        for job in self.all():
            if job.task is not None:
                job.task.cancel()

    def _forget_old(self) -> None:
        now = clock.real_time()
        while self._finished:
            oldest = self._finished[0]
            if len(self._finished) <= KEEP_MOST and now - (oldest.over_at or now) <= KEEP:
                return
            self._finished.popleft()
            self._jobs.pop(oldest.id, None)
            self._by_call.pop(_key(oldest.call), None)


def _key(call: Call) -> tuple[str, str]:
    """A call id belongs to its sender."""
    return call.caller.address, call.call_id or ""


def _believable(estimate: Seconds | None) -> Seconds | None:
    if estimate is None or not math.isfinite(estimate) or estimate > LONGEST_ESTIMATE:
        return None
    return max(0.0, estimate)
