"""Long calls as callers see them: an awaitable with an estimate, progress and cancel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Coroutine, Generator
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from pytel.base.units import Fraction, Seconds
from pytel.module.messages import Struct

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Tell whether the job has ended, one way or another."""
        return self in (JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED)


class JobReport(Struct, frozen=True, kw_only=True):
    """What `job.status`, `job.wait` and `job.list` tell of a job. `eta` is seconds of site time still to go."""

    job: str
    method: str
    status: JobStatus
    origin: str
    started: datetime
    progress: Fraction | None = None
    eta: Seconds | None = None
    result: Any = None
    error: dict[str, Any] | None = None


class Job(ABC, Generic[R_co]):
    """A long call under way: `await` it for the result.

    Cancelling the `await` cancels the job at the callee. To watch it instead:

        job = telescope.move_radec(53.4, -36.1)
        eta = await job.eta()
        await job.cancel()
    """

    @abstractmethod
    def __await__(self) -> Generator[Any, None, R_co]:
        """Wait for the result; raises what the method raised, `JobLost`, `Timeout`."""

    @abstractmethod
    async def eta(self) -> Seconds | None:
        """Seconds of site time still to go as the module estimates, None when it cannot tell."""

    @abstractmethod
    async def progress(self) -> float | None:
        """How much is done, 0 to 1, None when the module cannot tell."""

    @abstractmethod
    async def cancel(self) -> None:
        """Ask the module to stop; returns when it has."""


class DirectJob(Job[R]):
    """A long method called on one's own module: runs in the caller's task."""

    def __init__(self, work: Coroutine[Any, Any, R]) -> None:
        self._work = work

    def __await__(self) -> Generator[Any, None, R]:
        return self._work.__await__()

    async def eta(self) -> Seconds | None:
        """Unknown: there is no estimate within a module."""
        return None

    async def progress(self) -> float | None:
        """Unknown within a module."""
        return None

    async def cancel(self) -> None:
        """Drop the work if it has not begun."""
        self._work.close()
