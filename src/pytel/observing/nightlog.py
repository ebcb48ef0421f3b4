"""The record of the running night: what is being done, what was lost, what went wrong."""

from __future__ import annotations

import logging
from pathlib import Path

from pytel.base import clock
from pytel.base.errors import PytelError, StorageFull
from pytel.base.threads import in_thread
from pytel.base.units import Seconds
from pytel.observing.journal import (
    Entry,
    ErrorSeen,
    LostBegan,
    LostEnded,
    NightBegan,
    SafetySeen,
    append_entry,
    read_journal,
)

_NEWS_AGAIN: Seconds = 1800.0
_DEVICES = {
    "opening": "enclosure",
    "closing": "enclosure",
    "slewing": "telescope",
    "focusing": "autofocus",
    "exposing": "camera",
    "changing the filter": "filter wheel",
    "choosing a task": "task store",
}
"""What is meant when an error on the way to a device does not name it."""


class NightLog:
    """Keeps the journal of one night, in memory and on disk. A full disk costs no line as long as the process lives."""

    def __init__(self, directory: Path, entries: list[Entry], log: logging.Logger) -> None:
        self.directory = directory
        self.entries = entries
        self._log = log
        self._unsaved: list[Entry] = []
        self._losing: str | None = None
        self._safe: bool | None = None
        self._seen: dict[tuple[str, str, str], float] = {}
        self._action = ("start", clock.time())

    @classmethod
    async def open(cls, directory: Path, log: logging.Logger) -> NightLog:
        """Take up a night, from the start or where a crash has cut it off."""

        def read() -> list[Entry]:
            directory.mkdir(parents=True, exist_ok=True)
            return read_journal(directory / "journal.jsonl")

        night = cls(directory, await in_thread(read), log)
        await night.note(NightBegan(time=clock.time()))
        return night

    async def note(self, entry: Entry) -> None:
        """Add a line; when the disk is full it is written later."""
        self.entries.append(entry)
        self._unsaved.append(entry)
        try:
            while self._unsaved:
                await in_thread(append_entry, self.directory / "journal.jsonl", self._unsaved[0])
                self._unsaved.pop(0)
        except StorageFull as error:
            self._log.warning("the journal of the night waits for room: %s", error)

    def doing(self, what: str) -> None:
        """Say what is going on, for the case that it fails."""
        self._action = (what, clock.time())

    @property
    def action(self) -> str:
        """What is going on."""
        return self._action[0]

    async def lost(self, reason: str) -> None:
        """From now on nothing can be done, for this reason."""
        if reason != self._losing:
            self._losing = reason
            await self.note(LostBegan(time=clock.time(), reason=reason))

    async def working(self) -> None:
        """Work goes on."""
        if self._losing is not None:
            self._losing = None
            await self.note(LostEnded(time=clock.time()))

    async def failed(self, error: PytelError) -> None:
        """The present action failed: the time since its start is lost, until work goes on."""
        what, since = self._action
        await self._note_error(error, what, _device_of(error, what))
        reason = f"{what}: {self._sentence(error)}"
        if reason != self._losing:
            self._losing = reason
            await self.note(LostBegan(time=since, reason=reason))

    async def mishap(self, error: PytelError) -> None:
        """Something went wrong and work goes on."""
        await self._note_error(error, self.action, _device_of(error, self.action))

    async def safety(self, safe: bool, reasons: tuple[str, ...]) -> None:
        """Note the verdict if it changed."""
        if safe != self._safe:
            self._safe = safe
            await self.note(SafetySeen(time=clock.time(), safe=safe, reasons=reasons))

    def _sentence(self, error: PytelError) -> str:
        """What the error says, without what differs from disk to disk: a report is the same wherever it is written."""
        if isinstance(error, StorageFull) or error.data.get("cause") == "StorageFull":
            return "no room left on the disk: free some space"
        return error.message.replace(f"{self.directory.parent.parent}/", "")

    async def _note_error(self, error: PytelError, during: str, device: str | None) -> None:
        """Note an error; the same one again is not news for a while."""
        message = self._sentence(error)
        key = (error.name, message, during)
        last = self._seen.get(key)
        if last is None or clock.time() - last >= _NEWS_AGAIN:
            self._seen[key] = clock.time()
            self._log.warning("%s: %s (%s)", during, error.message, error.name)
            seen = ErrorSeen(time=clock.time(), name=error.name, message=message, during=during, device=device)
            await self.note(seen)


def _device_of(error: PytelError, during: str) -> str | None:
    device = error.data.get("device")
    return _DEVICES.get(during) if device is None else str(device)
