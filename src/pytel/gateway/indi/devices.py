"""Telescope, focuser, filter wheel, enclosure and weather station as INDI devices."""

from __future__ import annotations

from typing import Any

from pytel.base import clock
from pytel.base.errors import NotAllowed
from pytel.gateway.indi.offered import ALERT, BUSY, IDLE, OK, Offered, numbers, on_off, switches, texts, wanted
from pytel.interfaces.enclosure import Enclosure, EnclosureState, EnclosureStatus
from pytel.interfaces.filterwheel import FilterWheel, FilterWheelCapabilities, FilterWheelState
from pytel.interfaces.focuser import Focuser, FocuserCapabilities, FocuserState
from pytel.interfaces.motion import MotionStatus
from pytel.interfaces.telescope import Telescope, TelescopeCapabilities, TelescopeState, TelescopeStatus
from pytel.interfaces.weather import WeatherState

_MOVING = (TelescopeStatus.SLEWING, TelescopeStatus.PARKING)
_STEPS = 1000.0
"""Steps in a millimetre: INDI's focusers count in steps, here of a micrometre."""


class OfferedTelescope(Offered):
    """A telescope; coordinates are those of the equinox of date, as INDI has them."""

    interface = 1
    _mode = "TRACK"

    async def make_vectors(self) -> tuple[Any, ...]:
        """Optics, coordinates, parking, stopping."""
        able = await self.module.capabilities_of(TelescopeCapabilities)
        location = self.module.site.location
        return (
            numbers("EQUATORIAL_EOD_COORD", "Equinox of date", "rw", RA=(0.0, 24.0, 0.0), DEC=(-90.0, 90.0, 0.0)),
            switches("ON_COORD_SET", "On set", "OneOfMany", TRACK=True, SLEW=False, SYNC=False),
            switches("TELESCOPE_ABORT_MOTION", "Abort", "AtMostOne", ABORT=False),
            switches("TELESCOPE_PARK", "Parking", "OneOfMany", PARK=False, UNPARK=True),
            switches("TELESCOPE_TRACK_STATE", "Tracking", "OneOfMany", "ro", TRACK_ON=False, TRACK_OFF=True),
            numbers(
                "TELESCOPE_INFO",
                "Optics",
                "ro",
                TELESCOPE_APERTURE=(0, 0, able.aperture),
                TELESCOPE_FOCAL_LENGTH=(0, 0, able.focal_length),
            ),
            numbers(
                "GEOGRAPHIC_COORD",
                "Site",
                "ro",
                LAT=(-90, 90, location.latitude),
                LONG=(0, 360, location.longitude % 360.0),
                ELEV=(-500, 9000, location.elevation),
            ),
        )

    @property
    def _telescope(self) -> Telescope:
        return self.module.find(Telescope)

    async def asked(self, name: str, values: dict[str, Any]) -> None:
        """Slew, synchronise, park, stop."""
        if name == "ON_COORD_SET":
            self._mode = next((member for member, on in values.items() if on), "TRACK")
            modes = {member: member == self._mode for member in ("TRACK", "SLEW", "SYNC")}
            await self.tell(name, OK, on_off(**modes), force=True)
        elif name == "EQUATORIAL_EOD_COORD":
            await self._go(wanted(values, "RA"), wanted(values, "DEC"))
        elif name == "TELESCOPE_ABORT_MOTION":
            await self._telescope.stop()
            await self.tell(name, OK, on_off(ABORT=False), force=True)
        elif name == "TELESCOPE_PARK":
            park = bool(values.get("PARK"))
            work = self._telescope.park() if park else self._telescope.unpark()
            self.run(name, work, on_off(PARK=park, UNPARK=not park))
        else:
            raise NotAllowed(f"{name} cannot be set")

    async def _go(self, hours: float, dec: float) -> None:
        from pytel.sky.coordinates import icrs_place

        ra, dec = icrs_place(hours * 15.0 % 360.0, dec, clock.time())
        if self._mode == "SYNC":
            await self._telescope.sync_radec(ra, dec)
            await self.vectors["EQUATORIAL_EOD_COORD"].send_setVector(state=OK)
        else:
            self.run("EQUATORIAL_EOD_COORD", self._telescope.move_radec(ra, dec))

    async def update(self) -> None:
        """Coordinates, tracking, parking."""
        from pytel.sky.coordinates import apparent_place

        state = self.module.latest(TelescopeState)
        if state is None or state.ra is None or state.dec is None:
            await self.tell("EQUATORIAL_EOD_COORD", ALERT)
            return
        ra, dec = apparent_place(state.ra, state.dec, clock.time())
        tracks, parked = state.status is TelescopeStatus.TRACKING, state.status is TelescopeStatus.PARKED
        moves = state.status in _MOVING or self.is_busy("EQUATORIAL_EOD_COORD")
        told = BUSY if moves else OK if tracks else IDLE
        await self.tell("EQUATORIAL_EOD_COORD", told, {"RA": ra / 15.0, "DEC": dec})
        await self.tell(
            "TELESCOPE_TRACK_STATE", BUSY if tracks else IDLE, on_off(TRACK_ON=tracks, TRACK_OFF=not tracks)
        )
        if not self.is_busy("TELESCOPE_PARK"):
            await self.tell("TELESCOPE_PARK", OK, on_off(PARK=parked, UNPARK=not parked))


class OfferedFocuser(Offered):
    """A focuser; a step is a micrometre."""

    interface = 8

    async def make_vectors(self) -> tuple[Any, ...]:
        """Position, temperature, stopping."""
        able = await self.module.capabilities_of(FocuserCapabilities)
        lowest, highest = able.min_position * _STEPS, able.max_position * _STEPS
        return (
            numbers("ABS_FOCUS_POSITION", "Position", "rw", FOCUS_ABSOLUTE_POSITION=(lowest, highest, lowest)),
            numbers("FOCUS_TEMPERATURE", "Temperature", "ro", TEMPERATURE=(-100, 100, 0)),
            switches("FOCUS_ABORT_MOTION", "Abort", "AtMostOne", ABORT=False),
        )

    async def asked(self, name: str, values: dict[str, Any]) -> None:
        """Move, stop."""
        focuser = self.module.find(Focuser)
        if name == "ABS_FOCUS_POSITION":
            position = wanted(values, "FOCUS_ABSOLUTE_POSITION") / _STEPS
            self.run(name, focuser.set_focus(position))
        elif name == "FOCUS_ABORT_MOTION":
            await focuser.stop()
            await self.tell(name, OK, on_off(ABORT=False), force=True)
        else:
            raise NotAllowed(f"{name} cannot be set")

    async def update(self) -> None:
        """Position and temperature; the position is the base one, as filters shift the other."""
        state = self.module.latest(FocuserState)
        if state is None or state.base is None:
            await self.tell("ABS_FOCUS_POSITION", ALERT)
            return
        moves = state.status is MotionStatus.MOVING or self.is_busy("ABS_FOCUS_POSITION")
        await self.tell("ABS_FOCUS_POSITION", BUSY if moves else OK, {"FOCUS_ABSOLUTE_POSITION": state.base * _STEPS})
        if state.temperature is not None:
            await self.tell("FOCUS_TEMPERATURE", OK, {"TEMPERATURE": state.temperature})


class OfferedFilterWheel(Offered):
    """A filter wheel, slots from 1 on."""

    interface = 16
    _names: tuple[str, ...] = ()

    async def make_vectors(self) -> tuple[Any, ...]:
        """Slot and names."""
        able = await self.module.capabilities_of(FilterWheelCapabilities)
        self._names = tuple(one.name for one in able.filters)
        named = {f"FILTER_SLOT_NAME_{slot}": name for slot, name in enumerate(self._names, 1)}
        return (
            numbers("FILTER_SLOT", "Slot", "rw", FILTER_SLOT_VALUE=(1, len(self._names), 1)),
            texts("FILTER_NAME", "Filters", **named),
        )

    async def asked(self, name: str, values: dict[str, Any]) -> None:
        """Bring a filter."""
        slot = round(wanted(values, "FILTER_SLOT_VALUE")) if name == "FILTER_SLOT" else 0
        if not 1 <= slot <= len(self._names):
            raise NotAllowed(f"{name} cannot be set to that: there are slots 1 to {len(self._names)}")
        self.run(name, self.module.find(FilterWheel).set_filter(self._names[slot - 1]), {"FILTER_SLOT_VALUE": slot})

    async def update(self) -> None:
        """The slot."""
        state = self.module.latest(FilterWheelState)
        if state is not None and state.filter in self._names and not self.is_busy("FILTER_SLOT"):
            await self.tell("FILTER_SLOT", OK, {"FILTER_SLOT_VALUE": self._names.index(state.filter) + 1})


class OfferedEnclosure(Offered):
    """Roof or dome; whether it may open is decided here as everywhere."""

    interface = 32

    async def make_vectors(self) -> tuple[Any, ...]:
        """Shutter, stopping."""
        return (
            switches("DOME_SHUTTER", "Shutter", "OneOfMany", SHUTTER_OPEN=False, SHUTTER_CLOSE=True),
            switches("DOME_ABORT_MOTION", "Abort", "AtMostOne", ABORT=False),
        )

    async def asked(self, name: str, values: dict[str, Any]) -> None:
        """Open, close, stop."""
        enclosure = self.module.find(Enclosure)
        if name == "DOME_SHUTTER":
            opens = bool(values.get("SHUTTER_OPEN"))
            work = enclosure.open() if opens else enclosure.close()
            self.run(name, work, on_off(SHUTTER_OPEN=opens, SHUTTER_CLOSE=not opens))
        elif name == "DOME_ABORT_MOTION":
            await enclosure.stop()
            await self.tell(name, OK, on_off(ABORT=False), force=True)
        else:
            raise NotAllowed(f"{name} cannot be set")

    async def update(self) -> None:
        """What the shutter does; what is neither open nor closed is an Alert with both switches off."""
        state = self.module.latest(EnclosureState)
        status = EnclosureStatus.UNKNOWN if state is None else state.status
        opens = status in (EnclosureStatus.OPEN, EnclosureStatus.OPENING)
        closes = status in (EnclosureStatus.CLOSED, EnclosureStatus.CLOSING)
        moves = status in (EnclosureStatus.OPENING, EnclosureStatus.CLOSING)
        told = BUSY if moves else OK if opens or closes else ALERT
        if not (self.is_busy("DOME_SHUTTER") and not moves):
            await self.tell("DOME_SHUTTER", told, on_off(SHUTTER_OPEN=opens, SHUTTER_CLOSE=closes))


_WEATHER = {
    "WEATHER_TEMPERATURE": ("temperature", 1.0),
    "WEATHER_HUMIDITY": ("humidity", 1.0),
    "WEATHER_DEWPOINT": ("dew_point", 1.0),
    "WEATHER_PRESSURE": ("pressure", 1.0),
    "WEATHER_WIND_SPEED": ("wind_speed", 3.6),
    "WEATHER_WIND_GUST": ("wind_gust", 3.6),
    "WEATHER_WIND_DIRECTION": ("wind_direction", 1.0),
    "WEATHER_RAIN_HOUR": ("rain_rate", 1.0),
    "WEATHER_CLOUD_COVER": ("cloud_cover", 1.0),
}
"""Names and units of INDI (km/h), and ours."""


class OfferedWeather(Offered):
    """A weather station; what it does not measure is not there."""

    interface = 128

    async def make_vectors(self) -> tuple[Any, ...]:
        """The sensors that it has now."""
        state = self.module.latest(WeatherState)
        there = {
            name: (0.0, 0.0, getattr(state, field) * factor)
            for name, (field, factor) in _WEATHER.items()
            if state is not None and getattr(state, field) is not None
        }
        return (numbers("WEATHER_PARAMETERS", "Parameters", "ro", **there),)

    async def asked(self, name: str, values: dict[str, Any]) -> None:
        """Nothing can be set."""
        raise NotAllowed(f"{name} cannot be set")

    async def update(self) -> None:
        """What the sensors say; silence is an Alert."""
        state, vector = self.module.latest(WeatherState), self.vectors["WEATHER_PARAMETERS"]
        values = {} if state is None else {name: getattr(state, _WEATHER[name][0]) for name in vector}
        if state is None or None in values.values():
            await self.tell("WEATHER_PARAMETERS", ALERT)
            return
        scaled = {name: value * _WEATHER[name][1] for name, value in values.items()}
        old = (clock.now() - state.measured).total_seconds() > _OLDEST
        await self.tell("WEATHER_PARAMETERS", ALERT if old else OK, scaled)


_OLDEST = 60.0
