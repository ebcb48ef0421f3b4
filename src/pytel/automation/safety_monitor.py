"""What all safety monitors share: the verdict, its heartbeat, what a person declares, and checks that may not fail."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

import msgspec

from pytel.automation.limits import Fault
from pytel.automation.verdict import Verdict
from pytel.base import clock
from pytel.base.errors import wrap
from pytel.base.files import write_atomically
from pytel.base.threads import in_thread
from pytel.base.units import Duration, Seconds
from pytel.interfaces.safety import SafetyChanged, SafetyMonitor, SafetyMonitorState
from pytel.module.config import ModuleConfig
from pytel.module.handlers import background
from pytel.services import Module
from pytel.services.timing import patient

REAL_PATIENCE = 2.0
"""Real seconds that computers may be late on a fast clock before that counts as silence."""
LONGEST_REASON = 500
"""Characters of what a person declares: it goes to everybody with each verdict."""
Check = tuple[str, Callable[[], list[Fault]]]
"""A name, and what tells all that is wrong now."""


class BaseSafetyMonitor(Module, SafetyMonitor, ABC):
    """Publishes a verdict that expires. A monitor of some kind writes `checks`, and calls `judge` at any news.

    It starts unsafe, and says safe only when all checks have found nothing for their time to clear. A check that
    throws is unsafe, with its error as the reason, until it works again.
    """

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """Times of a monitor."""

        clear_after: Duration = 600.0
        """How long all must be good before it is safe, where a rule has no time of its own."""
        heartbeat: Duration = 5.0
        expiry: Duration = 20.0

    config: Config

    @abstractmethod
    def checks(self) -> Iterable[Check]:
        """What to look at in each judgement; a check looks at what is known and waits for nothing."""

    @property
    def longest_clearing(self) -> Seconds:
        """How long all must be good after the start, if that is more than `clear_after`."""
        return 0.0

    def next_turn(self, now: Seconds) -> Seconds:
        """When (elapsed) time alone may make something wrong: a silence that will have lasted too long."""
        return float("inf")

    def known_until(self) -> Seconds:
        """Until when (elapsed) what is known now is good for a verdict: a word must not outlive what it stands on."""
        return float("inf")

    async def on_start(self) -> None:
        """Read what was declared, and begin unsafe."""
        self._turned = asyncio.Event()
        self._declared = await in_thread(_read_declared, self._file)
        self._since = clock.now()
        self._verdict = Verdict(clock.elapsed(), self.config.clear_after, first=self.longest_clearing)
        self._judge()
        self._publish()

    def judge(self) -> None:
        """Judge at once, in this very turn of the loop."""
        self._judge()
        self._turned.set()

    @background
    async def watch(self) -> None:
        """Repeat the verdict, and notice silence the moment it has lasted too long."""
        next_beat = clock.elapsed()
        judged = False
        while True:
            if not judged:
                self._judge()
            now = clock.elapsed()
            if now >= next_beat - 1e-6:
                self._publish()
                next_beat = now + self.config.heartbeat
            self._turned.clear()
            judged = await clock.wait_for_event(self._turned, min(next_beat, self._next_judgement(now)) - now)

    async def declare_unsafe(self, reason: str) -> None:
        """Keep the site closed until `clear_unsafe`, also over restarts."""
        self._declared = reason[:LONGEST_REASON] or "declared unsafe"  # to refuse a longer one would be less safe
        self._judge()
        await in_thread(write_atomically, self._file, [msgspec.json.encode(self._declared)])

    async def clear_unsafe(self) -> None:
        """Let the sensors decide again."""
        await in_thread(self._file.unlink, True)
        self._declared = None
        self._judge()

    @property
    def _file(self) -> Path:
        return self.directory / "declared.json"

    def _judge(self) -> None:
        was_safe = self._verdict.safe
        if self._verdict.update(self._faults(), clock.elapsed()):
            self._publish()
        if self._verdict.safe != was_safe:
            self.log.info(
                "the site is %s", "safe" if self._verdict.safe else f"unsafe: {'; '.join(self._verdict.reasons)}"
            )
            self.publish(SafetyChanged(safe=self._verdict.safe, reasons=self._verdict.reasons))

    def _faults(self) -> list[Fault]:
        faults = [] if self._declared is None else [Fault("declared", self._declared)]
        try:
            for name, check in self.checks():
                faults += self._checked(name, check)
        except Exception as error:  # noqa: BLE001 - what cannot be checked is unsafe
            faults += self._failed("all", error)
        else:
            self.clear_alarm("check all")
        return faults

    def _checked(self, name: str, check: Callable[[], list[Fault]]) -> list[Fault]:
        try:
            found = check()
        except Exception as error:  # noqa: BLE001 - what cannot be checked is unsafe
            return self._failed(name, error)
        self.clear_alarm(f"check {name}")
        return found

    def _failed(self, name: str, error: Exception) -> list[Fault]:
        told = wrap(error)
        self.raise_alarm(f"check {name}", told)
        return [Fault(f"check {name}", f"the check of {name} failed: {told.message}")]

    def _next_judgement(self, now: Seconds) -> Seconds:
        """When a station will have been silent for too long, or the verdict may turn good."""
        turns = [self.next_turn(now)]
        if self._verdict.good_from is not None and not self._verdict.safe:
            turns.append(self._verdict.good_from)
        return min((turn for turn in turns if turn > now), default=float("inf"))

    def _publish(self) -> None:
        verdict, now, elapsed = self._verdict, clock.now(), clock.elapsed()
        known_for = self.known_until() - elapsed + patient(self.config.heartbeat + 1.0, REAL_PATIENCE)
        lasting = max(0.0, min(patient(self.config.expiry, REAL_PATIENCE), known_for))
        self.publish(
            SafetyMonitorState(
                safe=verdict.safe,
                reasons=verdict.reasons,
                expires=now + timedelta(seconds=lasting),
                since=now - timedelta(seconds=elapsed - verdict.since),
            )
        )


def _read_declared(path: Path) -> str | None:
    """What somebody declared before the last stop; a file that cannot be read counts as a declaration."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=str)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError):
        return f"declared unsafe, but {path} cannot be read: call clear_unsafe when all is well"
