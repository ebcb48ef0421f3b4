"""One task at the telescope: slew, focus if it is time, expose what is missing."""

from __future__ import annotations

import asyncio

from pytel.base import clock
from pytel.base.errors import (
    Conflict,
    ConnectionLost,
    DeviceError,
    InvalidParams,
    JobLost,
    LimitExceeded,
    PytelError,
    Timeout,
)
from pytel.base.units import Celsius
from pytel.interfaces.acquisition import AcquisitionFailed
from pytel.interfaces.focuser import FocuserState
from pytel.interfaces.observer import ObserverStatus
from pytel.interfaces.tasks import Exposures, Task, TaskStatus
from pytel.observing.focusing import FocusPlan
from pytel.observing.greedy import Choice, exposure_count, missing_exposures
from pytel.observing.journal import ExposureBegan, ExposureTaken, FocusRun
from pytel.observing.nightlog import NightLog
from pytel.observing.progress import Progress
from pytel.observing.queue import TaskQueue
from pytel.observing.rig import Rig
from pytel.observing.settings import ObserverConfig
from pytel.observing.status import StatusBoard
from pytel.services import Module

UNCLEAR = (Timeout, JobLost, ConnectionLost)
"""After these the frame may exist all the same."""


class TaskRunner:
    """Carries out tasks, one at a time."""

    def __init__(
        self,
        module: Module,
        config: ObserverConfig,
        rig: Rig,
        log: NightLog,
        progress: Progress,
        queue: TaskQueue,
        focus: FocusPlan,
        board: StatusBoard,
    ) -> None:
        self._module, self._config, self._rig, self._log = module, config, rig, log
        self._progress, self._queue, self._focus, self._board = progress, queue, focus, board
        self._unclear = False

    def fate_unknown(self) -> None:
        """An exposure may have left a frame that nobody told of: look before the next one."""
        self._unclear = True

    async def clear_up(self) -> None:
        """Find out what became of an exposure whose end nobody saw."""
        if not self._unclear:
            return
        self._log.doing("looking after an interrupted exposure")
        await self._rig.abort_exposure()
        await self._rig.camera_settled(within=180.0)
        await self._progress.settled(within=120.0)
        self._unclear = False

    async def run(self, choice: Choice) -> None:
        """Take the missing exposures of a task as long as it may be observed.

        A task on which a device or the acquisition fails is postponed, and the error raised.
        """
        task = choice.task
        self._board.task = task
        try:
            await self._run(choice)
        except (InvalidParams, Conflict) as error:
            await self._queue.set_status(task, TaskStatus.FAILED, error.message)
            raise
        except (DeviceError, LimitExceeded, Timeout, AcquisitionFailed) as error:
            await self._queue.postpone(task, self._config.postpone, error.message)
            raise
        finally:
            self._board.task = None

    async def _run(self, choice: Choice) -> None:
        task = choice.task
        await self._queue.set_status(task, TaskStatus.RUNNING)
        missing = missing_exposures(task, self._progress.done(task))
        await self._slew(task, series_of(task, missing[0]))
        await self.focus_if_due()  # first: blurred stars are hard to recognise
        await self._acquire(task)
        for index in missing:
            series = series_of(task, index)
            if self._queue.is_cancelled(task):
                return
            if clock.time() + series.exposure_time > choice.until:
                await self._queue.set_status(task, TaskStatus.PENDING, "it set before it was finished")
                return
            await self.focus_if_due()
            await self._take(task, index, series)
        await self._queue.set_status(task, TaskStatus.RUNNING, "waiting for the archive")

    async def _slew(self, task: Task, series: Exposures) -> None:
        self._log.doing("slewing")
        self._board.show(ObserverStatus.ACQUIRING)
        await self._rig.prepare(task.target, series)

    async def _acquire(self, task: Task) -> None:
        if self._config.acquire == "auto":
            self._log.doing("acquiring")
            self._board.show(ObserverStatus.ACQUIRING)
            await self._rig.acquire(task.target)

    async def focus_if_due(self) -> None:
        """Focus when it is time. A run that fails is recorded, and work goes on with the focus as it was."""
        if not self._focus.is_due(clock.time(), self._temperature()):
            return
        self._log.doing("focusing")
        self._board.show(ObserverStatus.FOCUSING)
        start = clock.time()
        try:
            result = await self._rig.focus()
        except PytelError as error:
            self._focus.failed(clock.time())
            await self._log.note(FocusRun(time=clock.time(), start=start, error=error.message))
            await self._log.mishap(error)
            return
        self._focus.succeeded(result)
        await self._log.note(
            FocusRun(
                time=clock.time(),
                start=start,
                position=result.position,
                hfd=result.hfd,
                temperature=result.temperature,
            )
        )

    def is_focus_due(self) -> bool:
        """Whether it is time to focus."""
        return self._focus.is_due(clock.time(), self._temperature())

    def _temperature(self) -> Celsius | None:
        state = self._module.latest(FocuserState)
        return None if state is None else state.temperature

    async def _take(self, task: Task, index: int, series: Exposures) -> None:
        self._log.doing("changing the filter")
        await self._rig.set_filter(series.filter)
        self._log.doing("exposing")
        try:
            await self._expose(task, index, series)
        except (*UNCLEAR, asyncio.CancelledError):
            self._unclear = True
            raise
        except DeviceError as error:
            # Once more at once: many a camera hangs once in a night.
            await self._log.mishap(error)
            await self._rig.abort_exposure()
            await self._expose(task, index, series)

    async def _expose(self, task: Task, index: int, series: Exposures) -> None:
        await self._log.working()
        await self._log.note(
            ExposureBegan(time=clock.time(), task=task.id, index=index, exposure_time=series.exposure_time)
        )
        self._board.expose(index, exposure_count(task), clock.time() + series.exposure_time)
        try:
            frame = await self._rig.expose(series)
        finally:
            self._board.exposing = None
        self._progress.taken(task.id, index, frame.id)
        await self._log.note(ExposureTaken(time=clock.time(), task=task.id, index=index, image=frame.id))
        await self._queue.set_status(task, TaskStatus.RUNNING)


def series_of(task: Task, index: int) -> Exposures:
    """The series that the exposure `index` of a task belongs to."""
    for series in task.exposures:
        if index < series.count:
            return series
        index -= series.count
    raise IndexError(f"the task {task.id} has no such exposure")
