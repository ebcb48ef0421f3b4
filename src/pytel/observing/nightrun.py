"""One night, from dusk to dawn: whatever happens in it, the loop goes on until it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pytel.base import clock
from pytel.base.errors import Busy, ConfigError, DeviceError, ModuleNotFound, PytelError, StorageFull, wrap
from pytel.interfaces.enclosure import Enclosure
from pytel.interfaces.notifier import Urgency
from pytel.interfaces.observer import ObserverStatus
from pytel.interfaces.tasks import TaskStatus
from pytel.observing.calibration import NightCalibration
from pytel.observing.greedy import choose, next_start
from pytel.observing.hindrance import Hindrance, Kind, find_hindrance, next_expiry, safety_verdict
from pytel.observing.night import NightTimes
from pytel.observing.nightlog import NightLog
from pytel.observing.people import People
from pytel.observing.progress import Progress
from pytel.observing.queue import TaskQueue
from pytel.observing.rig import Rig
from pytel.observing.settings import Backoff, ObserverConfig
from pytel.observing.status import StatusBoard
from pytel.observing.taskrun import TaskRunner
from pytel.observing.together import stop_all
from pytel.observing.windows import Windows
from pytel.services import Module
from pytel.services.required import Required

_STATUS = {
    Kind.UNSAFE: ObserverStatus.WAITING_FOR_SAFETY,
    Kind.PAUSED: ObserverStatus.PAUSED,
    Kind.CONTROL: ObserverStatus.PAUSED,
}
_PATIENT_WITH = 4
"""Failures in a row before somebody is told of what is no device's fault."""
ROOF = "The enclosure needs a person"


class NightRun:
    """Works through one night: open, focus, task after task; waits out what stands in the way; closes at dawn.

    `changed` is set by whoever learns that a hindrance may have come or gone.
    """

    def __init__(
        self,
        module: Module,
        config: ObserverConfig,
        night: NightTimes,
        *,
        log: NightLog,
        rig: Rig,
        progress: Progress,
        queue: TaskQueue,
        runner: TaskRunner,
        board: StatusBoard,
        people: People,
        changed: asyncio.Event,
        paused: Callable[[], str | None],
    ) -> None:
        self._module, self._config, self._night = module, config, night
        self._log, self._rig, self._progress, self._queue = log, rig, progress, queue
        self._runner, self._board, self._people = runner, board, people
        self._changed, self._paused = changed, paused
        self._backoff = Backoff(config.first_retry, config.longest_retry)
        self._windows = Windows(*night.observing, module.site.location)
        self._calibration = NightCalibration(module, config.calibration, night, log)
        self._required = Required(module, config.required)
        self._needs_enclosure = "Enclosure" in config.required
        self._opened = False

    async def run(self) -> None:
        """Observe until the night closes; then park and close."""
        while (left := self._calibration.closing - clock.time()) > 0.5:
            await self._see_safety()
            hindrance = self._hindrance()
            limit = clock.deadline(left)
            try:
                async with limit:
                    await (self._wait_out(hindrance) if hindrance else self._work())
            except TimeoutError as error:
                if not limit.expired():
                    await self._fail(wrap(error))
            except PytelError as error:
                await self._fail(error)
            except Exception as error:
                self._module.log.exception("a fault in the observer itself")
                await self._fail(wrap(error))
        self._opened = False
        await self.shut_down(calibrate=True)

    # what stands in the way

    def _hindrance(self) -> Hindrance | None:
        return find_hindrance(self._module, self._paused())

    async def _see_safety(self) -> None:
        await self._log.safety(*safety_verdict(self._module))

    async def _wait_out(self, hindrance: Hindrance) -> None:
        """Wait until another or no hindrance is there; in unsafe conditions with telescope and enclosure secured."""
        self._board.show(_STATUS[hindrance.kind], hindrance.reason)
        self._log.doing(hindrance.kind.value)
        await self._log.lost(hindrance.reason)
        secured, again = hindrance.kind is not Kind.UNSAFE, clock.time()
        while (now := self._hindrance()) is not None and now.kind is hindrance.kind:
            if not secured and clock.time() >= again:
                secured = await self._secure()
                again = clock.time() + 30.0
            await self._pause(60.0 if secured else again - clock.time())
        await self._log.working()

    async def _secure(self) -> bool:
        """Park and close. What fails is recorded, told, and tried again."""
        self._opened = False
        self._log.doing("closing")
        failures = await self._rig.secure()
        for error in failures:
            await self._log.mishap(error)
        if self._needs_enclosure and not self._module.has(Enclosure):
            lost = ModuleNotFound("the enclosure is gone, so nobody sees that it is closed; is its module started?")
            await self._people.tell(Urgency.CALL, ROOF, lost.message)
            await self._log.mishap(lost)
            return False
        if not failures:
            self._people.forget(ROOF)
        elif not self._rig.is_closed and self._module.has(Enclosure):
            await self._people.tell(Urgency.CALL, ROOF, f"It does not close: {failures[-1].message}")
        return not failures

    async def _pause(self, seconds: float) -> None:
        """Wait until something changed, at most for `seconds`."""
        await clock.wait_for_event(
            self._changed, max(0.0, min(seconds, next_expiry(self._module) - clock.time() + 0.01))
        )
        self._changed.clear()
        await self._see_safety()

    async def _work(self) -> None:
        """Do the next thing; stop it as soon as something stands in the way."""
        step = asyncio.create_task(self._step(), name="observing")
        guard = asyncio.create_task(self._guard(), name="guard")
        try:
            await asyncio.wait({step, guard}, return_when=asyncio.FIRST_COMPLETED)
            reason = guard.result() if guard.done() else None
        finally:
            task = self._board.task
            await stop_all(guard, step)
        if reason is None:
            step.result()
        elif task is not None:
            await self._queue.set_status(task, TaskStatus.PENDING, f"interrupted, {reason}")

    async def _guard(self) -> str:
        """Return with the reason when the work has to stop."""
        while True:
            if (hindrance := self._hindrance()) is not None:
                return hindrance.reason
            if self._opened and (fault := self._rig.opening_fault()) is not None:
                self._opened = False
                return fault
            await self._pause(60.0)

    # work

    async def _step(self) -> None:
        await self._open()
        await self._runner.clear_up()
        if (flats := self._calibration.flats_due()) is not None:
            self._log.doing("taking flats")
            self._board.show(ObserverStatus.CALIBRATING, flats)
            await self._calibration.take_flats(flats)
            return
        self._log.doing("choosing a task")
        candidates = await self._queue.candidates()
        choice = choose(candidates, clock.time(), self._windows)
        if choice is not None:
            await self._runner.run(choice)
            self._backoff.reset()
        elif self._is_dark_enough and self._runner.is_focus_due():
            await self._focus_high()
        else:
            await self._wait_for_target(next_start(candidates, clock.time(), self._windows))

    @property
    def _is_dark_enough(self) -> bool:
        """Whether it is the time of tasks, not that of flats."""
        return self._night.observing[0] <= clock.time() < self._night.observing[1]

    def _refuse_incomplete(self) -> None:
        """Robotic mode needs all that the site says it needs. Raises `ModuleNotFound`, `ConfigError`."""
        if not self._required:
            self._log.doing("looking for what is required")
            raise ConfigError("robotic mode is refused: the robot's list `required` is empty; name what it must have")
        missing = self._required.missing()
        if self._needs_enclosure and not self._module.has(Enclosure):
            self._log.doing("opening")
            raise ModuleNotFound("no enclosure is there to be opened; is it started?", device="enclosure")
        if missing:
            self._log.doing("looking for what is required")
            raise ModuleNotFound(f"robotic mode is refused without {' and '.join(missing)}; is it started?")

    async def _open(self) -> None:
        self._refuse_incomplete()
        if self._rig.opening_fault() is not None:
            self._log.doing("opening")
            self._board.show(ObserverStatus.OPENING)
            await self._rig.open()
            self._people.forget(ROOF)
        self._opened = True
        await self._rig.uncover()

    async def _focus_high(self) -> None:
        self._log.doing("slewing")
        self._board.show(ObserverStatus.ACQUIRING, "to a field for the focus")
        await self._rig.point_high()
        await self._runner.focus_if_due()

    async def _wait_for_target(self, start: float | None) -> None:
        message = "nothing can be observed any more tonight" if start is None else ""
        self._board.show(ObserverStatus.WAITING_FOR_TARGET, message, start)
        await self._log.lost("no task can be observed")
        longest = 300.0 if start is None else max(1.0, start - clock.time())
        await clock.sleep(min(60.0, longest, max(1.0, self._night.close - clock.time())))

    async def _fail(self, error: PytelError) -> None:
        """Record an error and wait a while before the next try."""
        await self._log.failed(error)
        if self._log.action == "opening" and isinstance(error, Busy):
            self._module.log.info("waiting: %s", error.message)
        elif self._log.action == "opening" and isinstance(error, (DeviceError, ModuleNotFound)):
            await self._people.tell(Urgency.CALL, ROOF, f"It does not open: {error.message}")
        elif isinstance(error, StorageFull):
            await self._people.tell(Urgency.CALL, "The disk is full", error.message)
        elif isinstance(error, DeviceError) or self._backoff.failures >= _PATIENT_WITH:
            await self._people.tell(Urgency.WARNING, f"Trouble while {self._log.action}", error.message)
        pause = self._backoff.next()
        if self._log.action == "opening":
            pause = max(pause, 120.0)
        ends = min(clock.time() + pause, self._night.close)
        while clock.time() < ends - 0.01 and self._hindrance() is None:
            await self._pause(ends - clock.time())

    # dawn

    async def shut_down(self, *, calibrate: bool = False) -> None:
        """Park, close and let the camera warm up; go on until the enclosure is closed, or it is noon.

        With `calibrate` the plan's bias and dark frames are taken in between.
        """
        self._board.show(ObserverStatus.CLOSING)
        ends = max(self._night.end, clock.time() + 3600.0)
        while not await self._secure() and clock.time() < ends:
            await clock.sleep(60.0)
        if calibrate and self._rig.is_closed:
            self._log.doing("taking darks")
            await self._calibration.take_darks()
        try:
            if self._config.cooling is not None:
                await self._rig.cool(None)
        except PytelError as error:
            await self._log.mishap(error)
        await self._people.send()
