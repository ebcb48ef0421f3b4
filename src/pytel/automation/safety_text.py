"""A safety monitor over a text that somebody else publishes: the state of a roof, the one line of a station, a UPS."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo

from pytel.automation.limits import Fault
from pytel.automation.safety_monitor import REAL_PATIENCE, BaseSafetyMonitor, Check
from pytel.automation.safety_source import Text, source
from pytel.base import clock
from pytel.base.errors import ConfigError, PytelError, wrap
from pytel.base.threads import in_thread
from pytel.base.units import Duration, Seconds
from pytel.module.handlers import background
from pytel.services.timing import patient

_AHEAD: Seconds = 60.0
"""A time in the text may be this far in the future: clocks differ."""
_SHOWN = 80


class TextSafetyMonitor(BaseSafetyMonitor):
    """Says what a text says: safe while a pattern is found in it, unsafe for all else.

    Patterns are regular expressions of Python, searched in the whole text, `^` and `$` at each line.
    """

    class Config(BaseSafetyMonitor.Config, frozen=True, kw_only=True):
        """The source (one of `path`, `url`, `command`), what it says when it is safe, and how old it may be."""

        path: str | None = None
        url: str | None = None
        command: tuple[str, ...] = ()
        """A program and its arguments; what it prints counts when it ends with status 0."""
        safe: str
        """Must be found."""
        unsafe: str | None = None
        """Must not be found, whatever else is."""
        ignore_case: bool = True
        time: str | None = None
        """Finds the time in the text, in its first group, or whole where there is none."""
        time_format: str = "%Y-%m-%d %H:%M:%S"
        """Of that time, as for `strptime`."""
        time_zone: str = "UTC"
        """Of that time, such as America/Denver."""
        max_age: Duration | None = 300.0
        """By the time in the text, else by that of the file or `Last-Modified`; null: its age does not matter."""
        period: Duration = 1.5
        """How often it is read; a server of others may like it more seldom, at the price of as much delay."""
        deadline: Duration = 5.0
        """Real seconds for one reading."""
        silence: Duration = 20.0
        """How long its last word holds when it cannot be read any more."""

    config: Config

    async def on_start(self) -> None:
        """Begin unsafe. Raises `ConfigError` for patterns and sources that cannot be."""
        config = self.config
        self._judge_of_text = await in_thread(TextJudge, config)
        self._source = source(config.path, config.url, config.command, config.deadline)
        self._complaint: str | None = "nothing has been read yet"
        self._same = ("", 0.0)
        """The text, and since when it reads so (elapsed)."""
        self._expires: Seconds | None = None
        self._read = clock.elapsed()
        self._silence = patient(config.silence, REAL_PATIENCE)
        self._error: PytelError | None = None
        await super().on_start()

    @background
    async def read(self) -> None:
        """Read again and again; what cannot be read is told, and keeps its last word for a while."""
        while True:
            try:
                text = await self._source()
                complaint, left = self._judge_of_text.weigh(text, self._same_for(text.text))
            except Exception as error:  # noqa: BLE001 - whatever it is, it counts as silence, and is tried again
                self._error = wrap(error)
                self.raise_alarm("source", self._error)
            else:
                now = clock.elapsed()
                self._complaint, self._read, self._error = complaint, now, None
                self._expires = None if left is None else now + left
                self.clear_alarm("source")
            self.judge()
            await clock.sleep(patient(self.config.period))

    def _same_for(self, text: str) -> Seconds:
        """Real seconds for which the text has been the same."""
        if text != self._same[0]:
            self._same = (text, clock.elapsed())
        return (clock.elapsed() - self._same[1]) / clock.current().rate

    def checks(self) -> Iterable[Check]:
        """What it said, and whether it still speaks."""
        yield "the text", self._check

    def _check(self) -> list[Fault]:
        now = clock.elapsed()
        if self._complaint is not None:
            why = f" ({self._error.message})" if self._error else ""
            return [Fault("text", f"{self.name}: {self._complaint}{why}")]
        if now - self._read >= self._silence:
            why = self._error.message if self._error else "it does not answer"
            return [Fault("silent", f"{self.name} has said nothing for {now - self._read:.0f} s: {why}")]
        if self._expires is not None and now > self._expires:
            return [Fault("old", f"{self.name}: it is older than {self.config.max_age:g} s")]
        return []

    def next_turn(self, now: Seconds) -> Seconds:
        """When its last word has lasted too long."""
        return min((turn for turn in self._ends() if turn > now), default=float("inf"))

    def known_until(self) -> Seconds:
        """The same, also when it is over."""
        return min(self._ends())

    def _ends(self) -> list[Seconds]:
        return [self._read + self._silence, *([] if self._expires is None else [self._expires + 0.01])]


class TextJudge:
    """Weighs texts by the patterns of a site. Raises `ConfigError` for those that cannot be."""

    def __init__(self, config: TextSafetyMonitor.Config) -> None:
        flags = re.MULTILINE | (re.IGNORECASE if config.ignore_case else 0)
        self._safe = _pattern("safe", config.safe, flags)
        self._unsafe = None if config.unsafe is None else _pattern("unsafe", config.unsafe, flags)
        self._time = None if config.time is None else _pattern("time", config.time, flags)
        self._zone = _zone(config.time_zone)
        self._format, self._max_age = config.time_format, config.max_age

    def weigh(self, text: Text, same_for: Seconds = 0.0) -> tuple[str | None, Seconds | None]:
        """Why a text is unsafe (None: it is safe), and for how many seconds it stays young enough (None: for ever).

        One that tells its time is no younger than it has been the same: our clock may have been set back.
        """
        if self._unsafe is not None and (found := self._unsafe.search(text.text)):
            return f"it says {_shown(found[0])}", None
        if self._safe.search(text.text) is None:
            return f"it says {_shown(text.text)}, which does not mean safe", None
        if self._max_age is None:
            return None, None
        age = text.age if self._time is None else self._age_in(text.text)
        if age is None:
            return "it does not say how old it is (`max_age: null` if that does not matter)", None
        if age < -_AHEAD:
            return f"its time is {-age:.0f} s in the future", None
        if self._time is not None:
            age = max(age, same_for)
        if age > self._max_age:
            return f"it is {age:.0f} s old", None
        return None, self._max_age - age

    def _age_in(self, text: str) -> Seconds | None:
        found = self._time.search(text) if self._time is not None else None
        if found is None:
            return None
        try:
            written = found[1 if found.re.groups else 0].strip()
            moment = datetime.strptime(written, self._format)  # noqa: DTZ007 - its zone follows
        except (ValueError, AttributeError):
            return None
        aware = moment if moment.tzinfo else moment.replace(tzinfo=self._zone)
        return clock.real_time() - aware.timestamp()


def _pattern(name: str, text: str, flags: int) -> re.Pattern[str]:
    try:
        return re.compile(text, flags)
    except re.error as error:
        raise ConfigError(f"{name}: {text!r} is no regular expression: {error}") from error


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigError(f"time_zone: {name!r} is none; write one such as Africa/Johannesburg") from error


def _shown(text: str) -> str:
    """A little of a text, in one line, without what could confuse a terminal."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text[: 4 * _SHOWN]).split())
    return f"{line[:_SHOWN]!r}…" if len(line) > _SHOWN or len(text) > 4 * _SHOWN else repr(line)
