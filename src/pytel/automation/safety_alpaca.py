"""What a safety monitor of an Alpaca server says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta

from pytel.automation.limits import Fault
from pytel.automation.safety_monitor import REAL_PATIENCE, BaseSafetyMonitor, Check
from pytel.base import clock
from pytel.base.errors import ConnectionLost, DeviceTimeout, PytelError
from pytel.base.units import Duration, Seconds
from pytel.module.handlers import background
from pytel.services.alpaca_client import DEFAULT_SERVER, AlpacaClient
from pytel.services.timing import patient

_ALARM = "alpaca"


class AlpacaSafetyMonitor(BaseSafetyMonitor):
    """Says what IsSafe says; a monitor that is not connected to its sensors is unsafe at once.

    A monitor that cannot be asked keeps its last word for `silence`, as a short break of the network is no rain.
    """

    class Config(BaseSafetyMonitor.Config, frozen=True, kw_only=True):
        """The device, and how long its word holds."""

        server: str = DEFAULT_SERVER
        number: Annotated[int, Meta(ge=0)] = 0
        period: Annotated[Seconds, Meta(gt=0)] = 0.5
        """How often it is asked."""
        answer_time: Annotated[Seconds, Meta(gt=0)] = 1.2
        """Real seconds for an answer."""
        silence: Duration = 10.0
        """How long its last word holds when it cannot be asked any more."""

    config: Config
    device_type = "safetymonitor"

    async def on_start(self) -> None:
        """Begin unsafe. Raises `ConfigError`."""
        config = self.config
        self._client = AlpacaClient(config.server, self.device_type, config.number, str(self.address))
        await self._client.open()
        self.at_stop(self._client.close)
        self._complaint: str | None = "the Alpaca safety monitor has not been asked yet"
        self._heard = clock.elapsed()
        self._silence = patient(config.silence, REAL_PATIENCE)
        self._error: PytelError | None = None
        await super().on_start()

    @background
    async def ask(self) -> None:
        """Ask again and again."""
        while True:
            asked = clock.elapsed()
            try:
                complaint = await self._asked()
            except PytelError as error:
                self._silent(error, asked)
            else:
                self._hear(complaint, asked)
            await clock.sleep(self.config.period)

    async def _asked(self) -> str | None:
        """What is wrong. IsSafe without a connection says nothing."""
        within = self.config.answer_time
        if not await self._client.flag("connected", within):
            await self._client.put("connected", within, Connected=True)
            if not await self._client.flag("connected", within):
                return "the Alpaca safety monitor does not connect to its sensors"
        safe = await self._client.flag("issafe", within)
        return None if safe else "the Alpaca safety monitor says unsafe"

    def _hear(self, complaint: str | None, asked: Seconds) -> None:
        news = complaint != self._complaint or self._error is not None
        self._complaint, self._heard = complaint, asked
        if self._error is not None:
            self._error = None
            self.clear_alarm(_ALARM)
        if news:
            self.judge()

    def _silent(self, error: PytelError, asked: Seconds) -> None:
        if "number" in error.data or not isinstance(error, ConnectionLost | DeviceTimeout):
            # It did answer: what it says is not that it is safe.
            self._complaint, self._heard = error.message, asked
        if self._error is None:
            self._error = error
            self.raise_alarm(_ALARM, error)
        self.judge()

    def checks(self) -> Iterable[Check]:
        """The one thing that it says, and that it says something."""
        yield "word", self._word
        yield "silence", self._silence_of

    def _word(self) -> list[Fault]:
        return [] if self._complaint is None else [Fault("word", self._complaint)]

    def _silence_of(self) -> list[Fault]:
        if clock.elapsed() < self.known_until():
            return []
        why = "nothing has come" if self._error is None else self._error.message
        return [Fault("silence", f"the Alpaca safety monitor is silent: {why}")]

    def next_turn(self, now: Seconds) -> Seconds:
        """When its silence will have lasted too long."""
        return self.known_until()

    def known_until(self) -> Seconds:
        """Until when its last word holds."""
        return self._heard + self._silence
