"""An independent eye on the roof: what must hold of it in every night, judged without the modules' own code.

It knows what the sensors have reported over the bus, and what the roof really does. Where they report danger, or fall
silent, the roof has to be closing at once and shut one closing time later. Where the roof itself fails, it has to be
reported, a person called, and the roof shut soon after the failure is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from pytel.base import clock
from pytel.base.units import Seconds
from pytel.interfaces import Notified, SafetyMonitorState, Urgency, WeatherState
from pytel.module import ModuleState
from pytel.testing.seat import Heard

REACTION: Seconds = 2.0
EXPIRY: Seconds = 20.0
LOST: Seconds = 30.0
"""Whatever is lost together, after so long it counts as unsafe."""
CALL: Seconds = 5.0
"""For a person to be called after a failure was seen, at the longest."""
RECOVERY: Seconds = 25.0
"""After a failure of the roof is over until it moves again, at the longest (it is tried again every 10 s)."""
_STEP = 0.25
_IDLE = 2.0
_SLACK = 0.3
_CALLED_RECENTLY: Seconds = 960.0

RoofTruth = Callable[[], tuple[str, float]]


class Demand(NamedTuple):
    """The roof has to close from `time` on."""

    time: float
    reason: str


class RoofWatcher:
    """Watches one roof.

    `broken` tells whether the roof's hardware is failing now; `tell` is called with each violation as it is seen.
    """

    def __init__(
        self,
        truth: RoofTruth,
        broken: Callable[[], bool],
        closing_time: Seconds,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.violations: list[str] = []
        self._tell = tell
        self._truth, self._broken, self._closing_time = truth, broken, closing_time
        self._wake = asyncio.Event()
        self._up: dict[str, float] = {}
        self._bad: dict[str, Demand] = {}
        self._reading: dict[str, float] = {}
        self._verdict: float | None = None
        self._in_error = False
        self._called: float | None = None
        self._episode: _Episode | None = None

    # what is heard

    def presence(self, module: str, present: bool) -> None:
        """Note that a module came or went."""
        if present:
            self._up.setdefault(module, clock.time())
        else:
            self._up.pop(module, None)
        if module == "roof":
            self._in_error = False
        self._wake.set()

    def hear(self, heard: Heard) -> None:
        """Note what was published."""
        message = heard.message
        if isinstance(message, WeatherState):
            self._read(str(heard.publisher), message, heard.time)
            self._wake.set()
        elif isinstance(message, SafetyMonitorState):
            self._verdict = heard.time
        elif isinstance(message, ModuleState) and str(heard.publisher) == "roof":
            self._in_error = message.status == "error"
        elif isinstance(message, Notified) and message.urgency is Urgency.CALL:
            self._called = heard.time

    def _read(self, station: str, weather: WeatherState, now: float) -> None:
        danger = danger_in(weather)
        age = now - weather.measured.timestamp()
        if abs(age) <= EXPIRY:  # one that lies about the time has said nothing
            self._reading[station] = min(now, now - age)
        else:
            self._reading.setdefault(station, now - EXPIRY)
        if danger is None:
            self._bad.pop(station, None)
        else:
            self._bad.setdefault(station, Demand(now, danger))

    # what must hold

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            demand = self._demand(clock.time())
            self._judge(demand, clock.time())
            self._wake.clear()
            await clock.wait_for_event(self._wake, _STEP if demand or self._episode else _IDLE)
            await asyncio.sleep(0)

    def _demand(self, now: float) -> Demand | None:
        """Why the roof has to be closing, and since when; None while nothing speaks against an open roof."""
        demands: list[Demand] = []
        safety_up, roof_up = self._up.get("safety"), self._up.get("roof")
        if safety_up is not None:
            demands += [Demand(max(bad.time, safety_up), bad.reason) for bad in self._bad.values()]
        for station, spoken in self._reading.items():
            within = EXPIRY if safety_up is not None else LOST - REACTION  # with the monitor gone its word counts
            if now > spoken + within:
                demands.append(Demand(spoken + within - REACTION, f"weather station {station} is silent"))
        if self._verdict is not None and now > self._verdict + EXPIRY:
            demands.append(Demand(self._verdict + EXPIRY - REACTION, "the safety monitor is silent"))
        if not demands or roof_up is None:
            return None
        first = min(demands)
        return Demand(max(first.time, roof_up), first.reason)

    def _judge(self, demand: Demand | None, now: float) -> None:
        condition, opening = self._truth()
        if opening <= 0.0 or "roof" not in self._up:
            self._episode = None
            return
        if self._episode is None:
            if demand is None:
                return
            self._episode = _Episode(demand, self._up["roof"])
        episode = self._episode
        if episode.roof_up != self._up["roof"]:  # it crashed meanwhile and begins anew
            self._episode = _Episode(Demand(self._up["roof"] + EXPIRY, episode.demand.reason), self._up["roof"])
            return
        episode.note(condition == "closing", self._broken(), now)
        self._hold_to(episode, now)

    def _hold_to(self, episode: _Episode, now: float) -> None:
        still = now - max(episode.still_since or now, episode.demand.time)
        if episode.was_broken:
            self._hold_broken(episode, still, now)
            return
        if still > REACTION + _SLACK:
            self._violated(episode, now, "the roof is not closing")
        elif now > episode.demand.time + REACTION + self._closing_time + _SLACK:
            self._violated(episode, now, "the roof is not shut one closing time later")

    def _hold_broken(self, episode: _Episode, still: Seconds, now: float) -> None:
        if still > REACTION + _SLACK and not self._in_error:
            self._violated(episode, now, "the roof fails and does not report it")
        called = self._called is not None and now - self._called < _CALLED_RECENTLY
        reachable = "notifier" in self._up and now - self._up["notifier"] > 70.0
        if still > REACTION + CALL and not called and reachable:
            self._violated(episode, now, "the roof fails and nobody is called")
        mended = episode.mended
        if mended is not None and now > mended + RECOVERY + self._closing_time + _SLACK:
            self._violated(episode, now, "the roof works again and was not closed")

    def _violated(self, episode: _Episode, now: float, what: str) -> None:
        if what not in episode.told:
            episode.told.add(what)
            late = now - episode.demand.time
            sentence = f"{what}, {late:.1f} s after it had to ({episode.demand.reason})"
            self.violations.append(f"{_clock(now)} {sentence}")
            self._tell(sentence)


class _Episode:
    """From the moment the roof has to close until it is shut."""

    def __init__(self, demand: Demand, roof_up: float) -> None:
        self.demand, self.roof_up = demand, roof_up
        self.still_since: float | None = None
        self.was_broken = False
        self.mended: float | None = None
        self.told: set[str] = set()

    def note(self, moving: bool, broken: bool, now: float) -> None:
        if moving:
            self.still_since = None
        elif self.still_since is None:
            self.still_since = now
        if broken:
            self.was_broken, self.mended = True, None
        elif self.was_broken and self.mended is None:
            self.mended = now


def danger_in(weather: WeatherState) -> str | None:
    """What in a reading forbids an open roof (the default limits of a site, written down a second time)."""
    limits = (
        ("rain", weather.rain_rate, 0.0),
        ("wind", weather.wind_speed, 15.0),
        ("gusts", weather.wind_gust, 20.0),
        ("humidity", weather.humidity, 88.0),
        ("clouds", weather.cloud_cover, 80.0),
    )
    for name, value, limit in limits:
        if value is not None and not 0.0 <= value <= limit:
            return f"{name} of {value:.1f}"
    if weather.temperature is not None and weather.dew_point is not None:
        spread = weather.temperature - weather.dew_point
        if not spread >= 2.0:
            return f"dew point only {spread:.1f} °C away"
    return None


def _clock(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S}"
