"""The robot."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from pytel.base import clock
from pytel.base.errors import ControlHeld, PytelError
from pytel.base.files import write_atomically
from pytel.base.threads import in_thread
from pytel.base.units import Celsius, Seconds
from pytel.interfaces.autofocus import AutoFocusState
from pytel.interfaces.control import Control, ControlState
from pytel.interfaces.enclosure import EnclosureState
from pytel.interfaces.fitsheaders import Card, ExposureMoment, FitsHeaderProvider
from pytel.interfaces.imagearchive import ArchivedImage, ImageArchived
from pytel.interfaces.observer import NightEnded, Observer, ObserverStatus
from pytel.interfaces.safety import SafetyMonitorState
from pytel.interfaces.tasks import TaskChanged, TaskStatus
from pytel.module.handlers import background, on
from pytel.observing.focusing import FocusPlan
from pytel.observing.journal import ExposureTaken, read_journal
from pytel.observing.night import NightTimes, night_at
from pytel.observing.nightlog import NightLog
from pytel.observing.nightrun import NightRun
from pytel.observing.people import People
from pytel.observing.progress import Progress
from pytel.observing.queue import TaskQueue
from pytel.observing.report import ExposureReport, NightReport, make_report
from pytel.observing.rig import Rig
from pytel.observing.settings import ObserverConfig
from pytel.observing.status import StatusBoard
from pytel.observing.taskrun import TaskRunner
from pytel.services import Module

_RENEW = 20.0
COOLING_PAUSE: Seconds = 30.0
COOLING_ATTEMPTS = 20
"""Real seconds between two renewals of the control lease."""


class RobotObserver(Module, Observer, FitsHeaderProvider):
    """Observes the tasks of the store from dusk to dawn, by itself, night after night.

    Each night has a folder with its journal and, at the end, `night.json` (see `pytel.observing.report`). After a
    crash the night goes on where it was: what is done, the archive knows.
    """

    class Config(ObserverConfig, frozen=True, kw_only=True):
        """Options of the robot."""

    config: Config

    async def on_start(self) -> None:
        """Take up a pause from before a restart."""
        self._changed = asyncio.Event()
        self.follow(AutoFocusState, ControlState, SafetyMonitorState)
        self._rig = Rig(self)
        self._people = People(self)
        self._board = StatusBoard(self.publish)
        self._focus = FocusPlan(
            self.config.focus_interval, self.config.focus_temperature_change, self.config.focus_retry
        )
        self._progress: Progress | None = None
        self._queue: TaskQueue | None = None
        self._wants_control = False
        self._pause_reason = await in_thread(_read_pause, self._pause_file)

    # calls

    async def pause(self, reason: str = "") -> None:
        """Stop the running exposure and wait, also over a restart."""
        self._pause_reason = reason
        self._changed.set()
        await in_thread(write_atomically, self._pause_file, [msgspec.json.encode(reason)])

    async def resume(self) -> None:
        """Go on after a pause."""
        await in_thread(self._pause_file.unlink, True)
        self._pause_reason = None
        self._changed.set()

    async def fits_headers(self, moment: ExposureMoment) -> dict[str, Card]:
        """Tell the target and the task of the running exposure."""
        return self._board.cards()

    # what is heard

    @on(SafetyMonitorState)
    async def safety_spoke(self, state: SafetyMonitorState) -> None:
        """Wake whoever waits for safety, or should stop for lack of it."""
        self._changed.set()

    @on(EnclosureState)
    async def enclosure_moved(self, state: EnclosureState) -> None:
        """Stop work under an enclosure that closes."""
        self._changed.set()

    @on(ControlState)
    async def control_changed(self, state: ControlState) -> None:
        """Stop when somebody else takes control, go on when it is free."""
        self._changed.set()

    @on(ImageArchived)
    async def image_archived(self, event: ImageArchived) -> None:
        """Count a frame as done for good."""
        if self._progress is not None:
            self._progress.archived(event.archived)

    @on(TaskChanged)
    async def task_changed(self, event: TaskChanged) -> None:
        """Let go of a task that was taken out."""
        if self._queue is not None and event.status is TaskStatus.CANCELLED:
            self._queue.cancelled(event.id)

    @background
    async def keep_control(self) -> None:
        """Hold the control lease while the night is on. Leases live in real time."""
        while True:
            if self._wants_control:
                await self._take_control()
            await asyncio.sleep(_RENEW)

    # nights

    @background
    async def observe(self) -> None:
        """Night after night."""
        await self._finish_old_nights()
        while True:
            night = self._night_at(clock.time())
            if night is None:
                self._board.show(ObserverStatus.DAY, "the Sun does not set")
                await clock.sleep(3600.0)
                continue
            await self._wait_for_dusk(night)
            await self._observe_night(night)

    def _night_at(self, when: float) -> NightTimes | None:
        config = self.config
        plan = config.calibration
        night = night_at(
            when, self.site.location, config.open_sun_altitude, config.dark_sun_altitude, flats=plan.opening
        )
        if night is None:
            return None
        return night._replace(
            open=night.open if plan.evening else night.observing[0],
            close=night.close if plan.morning else night.observing[1],
        )

    async def _wait_for_dusk(self, night: NightTimes) -> None:
        self._board.night = night.date
        if clock.time() < night.open:
            self._board.show(ObserverStatus.WAITING_FOR_DUSK, until=night.open)
        await clock.sleep_until(night.open - self.config.cooling_lead)
        await self._start_cooling()
        await clock.sleep_until(night.open)

    async def _start_cooling(self) -> None:
        if self.config.cooling is not None and not await self._cools(self.config.cooling):
            self.spawn(self._cool_later(self.config.cooling), "cooling")

    async def _cool_later(self, setpoint: Celsius) -> None:
        """Try again for a while: the camera may have started after the robot."""
        for _ in range(COOLING_ATTEMPTS):
            await clock.sleep(COOLING_PAUSE)
            if await self._cools(setpoint):
                return
        self.log.error("the camera did not cool all this time; this night's frames are warm")

    async def _cools(self, setpoint: Celsius) -> bool:
        try:
            await self._rig.cool(setpoint)
        except PytelError as error:
            self.log.warning("the camera does not cool: %s", error.message)
            return False
        return True

    async def _observe_night(self, night: NightTimes) -> None:
        log = await NightLog.open(self.directory / str(night.date), self.log)
        run, runner = self._prepare_night(night, log)
        if self._progress is not None and self._progress.recall(log.entries):
            runner.fate_unknown()
        await self._take_control()
        try:
            await run.run()
            await self._report(night, log)
        finally:
            await self._release_control()
            self._progress = self._queue = None

    def _prepare_night(self, night: NightTimes, log: NightLog) -> tuple[NightRun, TaskRunner]:
        if (state := self.latest(AutoFocusState)) is not None and state.last is not None:
            self._focus.succeeded(state.last)
        progress = Progress(self, night.date, self.config.archive_patience)
        queue = TaskQueue(self, night, progress)
        runner = TaskRunner(self, self.config, self._rig, log, progress, queue, self._focus, self._board)
        self._progress, self._queue = progress, queue
        run = NightRun(
            self,
            self.config,
            night,
            log=log,
            rig=self._rig,
            progress=progress,
            queue=queue,
            runner=runner,
            board=self._board,
            people=self._people,
            changed=self._changed,
            paused=lambda: self._pause_reason,
        )
        return run, runner

    async def _take_control(self) -> None:
        self._wants_control = True
        try:
            if self.has(Control):
                await self.find(Control).take()
        except ControlHeld:
            return  # the state of the lease says so, and the robot waits
        except PytelError as error:
            self.log.warning("control could not be taken: %s", error.message)

    async def _release_control(self) -> None:
        self._wants_control = False
        try:
            if self.has(Control):
                await self.find(Control).release()
        except PytelError as error:
            self.log.info("control could not be given back: %s", error.message)

    # reports

    async def _report(self, night: NightTimes, log: NightLog) -> None:
        """Write `night.json` once the archive has what was taken."""
        if self._progress is None or self._queue is None:
            return
        await self._settle_archive(log)
        images = await self._archived_images(log)
        await self._queue.finish_all()
        report = make_report(
            self.site.name, self.site.seed, night, log.entries, self._queue.reports(), [_exposure(i) for i in images]
        )
        path = log.directory / "night.json"
        await self._write_report(path, report)
        self._board.show(ObserverStatus.DAY)
        self.publish(NightEnded(night=night.date, report=str(path), frames=len(images)))

    async def _settle_archive(self, log: NightLog) -> None:
        log.doing("closing the books")
        if self._progress is not None and any(isinstance(entry, ExposureTaken) for entry in log.entries):
            await self._progress.settled(within=300.0)

    async def _archived_images(self, log: NightLog) -> list[ArchivedImage]:
        if self._progress is None or self._queue is None:
            return []
        for attempt in range(10):
            try:
                await self._queue.candidates()
                return await self._progress.images()
            except PytelError as error:
                await log.mishap(error)
                await clock.sleep(30.0 * (attempt + 1))
        return []

    async def _write_report(self, path: Path, report: NightReport) -> None:
        text = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
        while True:
            try:
                await in_thread(write_atomically, path, [text])
            except PytelError as error:
                self.log.error("the report of the night cannot be written yet: %s", error.message)
                await clock.sleep(300.0)
                continue
            return

    async def _finish_old_nights(self) -> None:
        """Close the books of nights that were cut off and are over; at the first start there are none."""
        now = self._night_at(clock.time())
        for directory in await in_thread(_unfinished, self.directory):
            began = await in_thread(_first_moment, directory)
            night = None if began is None else self._night_at(began)
            if night is None or (now is not None and night.date == now.date):
                continue
            self.log.warning("the night of %s was cut off; it is closed now", night.date)
            log = await NightLog.open(directory, self.log)
            run, _ = self._prepare_night(night, log)
            await run.shut_down()
            await self._report(night, log)
            self._progress = self._queue = None

    @property
    def _pause_file(self) -> Path:
        return self.directory / "paused.json"


def _exposure(image: ArchivedImage) -> ExposureReport:
    return ExposureReport(
        task=image.task or "",
        index=image.exposure_index or 0,
        start=image.start,
        exposure_time=image.exposure_time,
        filter=image.filter,
        image=image.id,
        path=image.path,
    )


def _read_pause(path: Path) -> str | None:
    """Why somebody paused the robot before its restart. What cannot be read is a pause."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=str)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError:
        return "before a restart"


def _unfinished(directory: Path) -> list[Path]:
    journals = sorted(directory.glob("*/journal.jsonl"))
    return [journal.parent for journal in journals if not (journal.parent / "night.json").exists()]


def _first_moment(directory: Path) -> float | None:
    entries = read_journal(directory / "journal.jsonl")
    return entries[0].time if entries else None
