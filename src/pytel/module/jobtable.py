"""Long calls as the callee keeps them."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from pytel.base import clock, ids
from pytel.base.errors import Cancelled, NotFound, PytelError, Timeout, wrap
from pytel.base.units import Seconds
from pytel.bus.contract import Builtin, Call
from pytel.module.exclusive import Exclusive
from pytel.module.jobs import JobReport, JobStatus
from pytel.module.rpc import DEFAULT_JOB_DEADLINE, Method, to_builtins

KEEP = 3600.0
"""Real seconds for which the result of a job can be fetched."""
KEEP_MOST = 500

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
        self.ends = clock.time() + estimate if estimate is not None else None
        self.progress: float | None = None
        self.result: Builtin = None
        self.error: PytelError | None = None
        self.over = asyncio.Event()
        self.over_at: float | None = None
        self.task: asyncio.Task[None] | None = None
        self.deadline = method.options.deadline or max(DEFAULT_JOB_DEADLINE, 3 * (estimate or 0.0))

    @property
    def until(self) -> datetime | None:
        """When it should be done, in site time."""
        return self.started + timedelta(seconds=self.ends - self.started.timestamp()) if self.ends else None

    @property
    def eta(self) -> Seconds | None:
        """Seconds of site time still to go."""
        if self.status.is_over:
            return 0.0
        return max(0.0, self.ends - clock.time()) if self.ends is not None else None

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
        self._by_call: dict[tuple[str, str], str] = {}
        self._exclusive = exclusive
        self._log = log

    def start(self, method: Method, call: Call, work: Work, estimate: Seconds | None) -> RunningJob:
        """Start a job, or return the one that the same call id started before. Raises `Busy`."""
        self._forget_old()
        key = (call.caller.address, call.call_id or "")
        if call.call_id and (known := self._jobs.get(self._by_call.get(key, ""))):
            return known
        if not method.options.queues:
            self._exclusive.check(method)
        job = RunningJob(method, call, estimate)
        self._jobs[job.id] = job
        if call.call_id:
            self._by_call[key] = job.id
        taken = None if method.options.queues else self._exclusive.occupy(method, call, job.until)
        job.task = asyncio.create_task(self._run(job, work, taken), name=f"job {method.name}")
        return job

    async def _run(self, job: RunningJob, work: Work, taken: object | None) -> None:
        current_job.set(job)
        try:
            if taken is None:
                taken = await self._exclusive.wait_and_occupy(job.method, job.call, job.until)
            job.status = JobStatus.RUNNING
            async with clock.deadline(job.deadline):
                job.result = to_builtins(await work())
            job.status = JobStatus.DONE
        except asyncio.CancelledError:
            job.status, job.error = JobStatus.CANCELLED, Cancelled(f"{job.method.name} was cancelled")
        except Exception as error:  # noqa: BLE001 - kept as the job's error, for whoever asks
            job.status, job.error = JobStatus.FAILED, self._explained(job, error)
        finally:
            self._exclusive.free(taken)
            job.over_at = clock.real_time()
            job.over.set()

    def _explained(self, job: RunningJob, error: Exception) -> PytelError:
        if isinstance(error, TimeoutError):
            return Timeout(f"{job.method.name} was not done within {job.deadline:g} s")
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
            job.task.cancel()
            await asyncio.wait([job.task])
            if not job.over.is_set():  # cancelled before its first step
                job.status, job.error = JobStatus.CANCELLED, Cancelled(f"{job.method.name} was cancelled")
                job.over_at = clock.real_time()
                job.over.set()
        return job

    def all(self) -> list[RunningJob]:
        """All jobs still known, oldest first."""
        return list(self._jobs.values())

    async def cancel_all(self) -> None:
        """Cancel whatever runs (the module ends)."""
        for job in self.all():
            await self.cancel(job.id)

    def abandon(self) -> None:
        """Drop all at once, as a crash does."""
        for job in self.all():
            if job.task is not None:
                job.task.cancel()

    def _forget_old(self) -> None:
        now = clock.real_time()
        finished = [job for job in self._jobs.values() if job.over_at is not None]
        surplus = max(0, len(finished) - KEEP_MOST)
        for index, job in enumerate(finished):
            if index < surplus or now - (job.over_at or now) > KEEP:
                del self._jobs[job.id]
        self._by_call = {key: job_id for key, job_id in self._by_call.items() if job_id in self._jobs}
