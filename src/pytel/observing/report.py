"""What became of a night: the form of `night.json`.

The file is a `NightReport` as JSON: times are UTC, durations seconds. `msgspec.json.schema(NightReport)` gives its
JSON Schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from pytel.base.units import Celsius, Fraction, Millimetres, Pixels, Seconds
from pytel.interfaces.tasks import TaskStatus
from pytel.module import Struct
from pytel.observing.journal import (
    CalibrationDone,
    Entry,
    ErrorSeen,
    FocusRun,
    LostBegan,
    LostEnded,
    NightBegan,
    SafetySeen,
)
from pytel.observing.night import NightTimes, Span, merged, overlap, total, utc


class TaskReport(Struct, frozen=True, kw_only=True):
    """A task that was touched in the night; `exposures_done` are in the archive."""

    id: str
    name: str
    status: TaskStatus
    exposures_done: int
    exposures_planned: int
    reason: str | None = None


class ExposureReport(Struct, frozen=True, kw_only=True):
    """A frame of a task, as the archive has it; `index` counts the exposures of the task from 0."""

    task: str
    index: int
    start: datetime
    exposure_time: Seconds
    filter: str | None
    image: str
    path: str


class FocusReport(Struct, frozen=True, kw_only=True):
    """A focus run; `error` says why it failed."""

    start: datetime
    end: datetime
    position: Millimetres | None = None
    hfd: Pixels | None = None
    temperature: Celsius | None = None
    error: str | None = None


class CalibrationReport(Struct, frozen=True, kw_only=True):
    """A set of calibration frames; `error` says why it failed."""

    end: datetime
    what: str
    taken: int
    error: str | None = None


class LostTime(Struct, frozen=True, kw_only=True):
    """A stretch of the dark time in which nothing could be done, and why."""

    start: datetime
    end: datetime
    seconds: Seconds
    reason: str


class ErrorNote(Struct, frozen=True, kw_only=True):
    """Something that went wrong: the error's name and sentence, what was going on, and the device if it is known."""

    time: datetime
    name: str
    message: str
    during: str
    device: str | None = None


class NightReport(Struct, frozen=True, kw_only=True):
    """A night in numbers.

    `start` and `end` bound the work; `dark_time` is that with the Sun below the limit of darkness, `clear_dark_time`
    the part of it in which the site was safe. `open_shutter` is the exposure time of archived science frames within
    the dark time, `open_shutter_fraction` its share of the clear dark time (None without any).
    """

    night: date
    site: str
    seed: int
    start: datetime
    end: datetime
    dark_time: Seconds
    clear_dark_time: Seconds
    open_shutter: Seconds
    open_shutter_fraction: Fraction | None
    tasks: tuple[TaskReport, ...]
    exposures: tuple[ExposureReport, ...]
    focus_runs: tuple[FocusReport, ...]
    calibrations: tuple[CalibrationReport, ...]
    lost: tuple[LostTime, ...]
    errors: tuple[ErrorNote, ...]


def make_report(
    site: str,
    seed: int,
    night: NightTimes,
    entries: Sequence[Entry],
    tasks: Sequence[TaskReport],
    exposures: Sequence[ExposureReport],
) -> NightReport:
    """Sum a night up, from its journal and what is in the archive."""
    dark = [night.dark] if night.dark is not None else []
    open_spans = [(e.start.timestamp(), e.start.timestamp() + e.exposure_time) for e in exposures]
    clear = total(overlap(safe_spans(entries, night.close), dark))
    opened = total(overlap(open_spans, dark))
    return NightReport(
        night=night.date,
        site=site,
        seed=seed,
        start=utc(night.open),
        end=utc(night.close),
        dark_time=round(total(dark), 3),
        clear_dark_time=round(clear, 3),
        open_shutter=round(opened, 3),
        open_shutter_fraction=round(min(1.0, opened / clear), 4) if clear > 0 else None,
        tasks=tuple(tasks),
        exposures=tuple(exposures),
        focus_runs=tuple(_focus(entry) for entry in entries if isinstance(entry, FocusRun)),
        calibrations=tuple(_calibration(entry) for entry in entries if isinstance(entry, CalibrationDone)),
        lost=tuple(_lost(entries, dark, night.close)),
        errors=tuple(_error(entry) for entry in entries if isinstance(entry, ErrorSeen)),
    )


def safe_spans(entries: Sequence[Entry], end: float) -> list[Span]:
    """When the site was safe. What the observer did not see, because it was down, counts as it was before."""
    spans: list[Span] = []
    since: float | None = None
    for entry in entries:
        if not isinstance(entry, SafetySeen):
            continue
        if entry.safe and since is None:
            since = entry.time
        elif not entry.safe and since is not None:
            spans.append((since, entry.time))
            since = None
    return merged([*spans, (since, end)] if since is not None and since < end else spans)


def lost_spans(entries: Sequence[Entry], end: float) -> list[tuple[Span, str]]:
    """When nothing could be done, and why; a restart ends what was going on, and the time it took is lost as well."""
    spans: list[tuple[Span, str]] = []
    open_since: tuple[float, str] | None = None
    last_word: float | None = None
    for entry in entries:
        if isinstance(entry, (LostBegan, LostEnded, NightBegan)) and open_since is not None:
            spans.append(((open_since[0], entry.time), open_since[1]))
            open_since = None
        elif isinstance(entry, NightBegan) and last_word is not None:
            spans.append(((last_word, entry.time), "the observer was not running"))
        if isinstance(entry, LostBegan):
            open_since = (entry.time, entry.reason)
        last_word = entry.time
    if open_since is not None:
        spans.append(((open_since[0], end), open_since[1]))
    return spans


def _lost(entries: Sequence[Entry], dark: list[Span], end: float) -> list[LostTime]:
    joined: list[tuple[Span, str]] = []
    for span, reason in lost_spans(entries, end):
        for low, high in overlap([span], dark):
            if joined and joined[-1][1] == reason and low - joined[-1][0][1] < 1.0:
                joined[-1] = ((joined[-1][0][0], high), reason)
            else:
                joined.append(((low, high), reason))
    return [
        LostTime(start=utc(low), end=utc(high), seconds=round(high - low, 3), reason=reason)
        for (low, high), reason in joined
        if high - low >= 0.5
    ]


def _calibration(done: CalibrationDone) -> CalibrationReport:
    return CalibrationReport(end=utc(done.time), what=done.what, taken=done.taken, error=done.error)


def _focus(run: FocusRun) -> FocusReport:
    return FocusReport(
        start=utc(run.start),
        end=utc(run.time),
        position=run.position,
        hfd=run.hfd,
        temperature=run.temperature,
        error=run.error,
    )


def _error(entry: ErrorSeen) -> ErrorNote:
    return ErrorNote(
        time=utc(entry.time), name=entry.name, message=entry.message, during=entry.during, device=entry.device
    )
