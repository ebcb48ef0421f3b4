"""The night as it happens, line by line on disk: a kill in mid-night loses none of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from pytel.base.files import storage_full_named

E = TypeVar("E", bound="Entry")


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True):
    """A line of the journal; `time` is site time in Unix seconds."""

    time: float


class NightBegan(Entry, frozen=True, kw_only=True, tag="began"):
    """The observer took up the night, at dusk or after a restart."""


class SafetySeen(Entry, frozen=True, kw_only=True, tag="safety"):
    """The verdict changed, as the observer saw it."""

    safe: bool
    reasons: tuple[str, ...] = ()


class LostBegan(Entry, frozen=True, kw_only=True, tag="lost"):
    """From now on nothing can be done."""

    reason: str


class LostEnded(Entry, frozen=True, kw_only=True, tag="found"):
    """Work goes on."""


class ExposureBegan(Entry, frozen=True, kw_only=True, tag="exposing"):
    """An exposure of a task was asked for."""

    task: str
    index: int
    exposure_time: float


class ExposureTaken(Entry, frozen=True, kw_only=True, tag="taken"):
    """The store has the frame; the archive should follow."""

    task: str
    index: int
    image: str


class FocusRun(Entry, frozen=True, kw_only=True, tag="focus"):
    """A focus run ended."""

    start: float
    position: float | None = None
    hfd: float | None = None
    temperature: float | None = None
    error: str | None = None


class CalibrationDone(Entry, frozen=True, kw_only=True, tag="calibration"):
    """A set of calibration frames was taken, or failed; it is not tried again in this night."""

    what: str
    taken: int
    error: str | None = None


class ErrorSeen(Entry, frozen=True, kw_only=True, tag="error"):
    """Something went wrong."""

    name: str
    message: str
    during: str
    device: str | None = None


_ANY = (
    NightBegan
    | SafetySeen
    | LostBegan
    | LostEnded
    | ExposureBegan
    | ExposureTaken
    | FocusRun
    | CalibrationDone
    | ErrorSeen
)  # what a line may hold


def read_journal(path: Path) -> list[Entry]:
    """All lines that are whole; a last one that was cut off by a crash is cut off for good. Blocking."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    entries: list[Entry] = []
    for line in whole.splitlines():
        try:
            entries.append(msgspec.json.decode(line, type=_ANY))
        except msgspec.MsgspecError:
            continue  # a line of another version; the rest of the night counts
    return entries


def append_entry(path: Path, entry: Entry) -> None:
    """Add a line, on disk when this returns. Blocking. Raises `StorageFull`."""
    with storage_full_named(path), path.open("ab", buffering=0) as file:
        file.write(msgspec.json.encode(entry) + b"\n")
        os.fdatasync(file.fileno())
