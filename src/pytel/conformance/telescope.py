"""A telescope: an arcminute on the sky and back, where it points already."""

from __future__ import annotations

import math

from pytel.base.errors import LimitExceeded
from pytel.conformance.report import Deviation
from pytel.conformance.trial import INTERLOCKS, Trial
from pytel.interfaces.telescope import TelescopeCapabilities, TelescopeState, TelescopeStatus

_SHIFT = 60.0
"""Arcseconds on the sky."""
_TOLERANCE = 15.0
_POLE = 85.0
"""Beyond this declination a small angle on the sky is a large one of the axis."""


async def check_telescope(trial: Trial) -> None:
    """Offset by an arcminute and back; a parked telescope only where moving was allowed."""
    device = trial.device
    told = device.capabilities(TelescopeCapabilities)
    if told.slew_rate <= 0 or told.sun_distance < 0:
        raise Deviation(f"its slew rate is {told.slew_rate:g} deg/s, its distance to the Sun {told.sun_distance:g} deg")
    await trial.refused("refuses declination 95", "move_radec", long=True, ra=10.0, dec=95.0)
    state = await device.state(TelescopeState)
    if state.status is TelescopeStatus.PARKED and not trial.options.move:
        trial.skip("moves by an arcminute", "it is parked; --move unparks it, and parks it again")
        return
    if state.status not in (TelescopeStatus.PARKED, TelescopeStatus.IDLE, TelescopeStatus.TRACKING):
        trial.skip("moves by an arcminute", f"it is {state.status}")
        return
    if await _tracks(trial, state):
        await _offset(trial)


async def _tracks(trial: Trial, state: TelescopeState) -> bool:
    """Have it track where it points."""
    device = trial.device
    if state.status is TelescopeStatus.TRACKING:
        return True
    if state.status is TelescopeStatus.PARKED:
        trial.undo("parked again", lambda: device.run("park"))
        await trial.step("unparks", lambda: device.run("unpark"))
    else:
        trial.undo("at rest again", lambda: device.call("stop"))
    here = await device.state(TelescopeState)

    async def track() -> bool:
        if here.ra is None or here.dec is None:
            raise Deviation("it does not tell where it points")
        await device.run("move_radec", ra=here.ra, dec=here.dec)
        await device.until(
            TelescopeState, lambda now: now.status is TelescopeStatus.TRACKING, "it was to track and said it does"
        )
        return True

    # Below the horizon limit or near the Sun it stays where it is, and rightly so.
    began = await trial.step("tracks where it points", track, refusals=(*INTERLOCKS, LimitExceeded))
    return began is True


async def _offset(trial: Trial) -> None:
    device = trial.device
    before = await device.state(TelescopeState)
    if before.ra is None or before.dec is None:
        raise Deviation("it tracks and does not tell where")
    ra, dec, done = before.ra, before.dec, list[float]()
    if abs(dec) > _POLE:
        trial.skip(f"moves by {_SHIFT:g} arcsec", f"at declination {dec:.1f} that is half a turn; point it elsewhere")
        return

    async def shift() -> None:
        await device.run("offset_radec", ra=_SHIFT, dec=_SHIFT)
        done.append(_SHIFT)
        await device.until(
            TelescopeState,
            lambda now: (
                now.status is TelescopeStatus.TRACKING
                and _is_at(_off(now, ra, dec), _SHIFT)
                and abs(now.offset_dec - before.offset_dec - _SHIFT) < 1.0
            ),
            f'it was to be {_SHIFT:g}" from where it began and reported that it had arrived',
        )

    async def back() -> None:
        off = _off(await device.state(TelescopeState), ra, dec)
        if done:
            await device.run("offset_radec", ra=-_SHIFT, dec=-_SHIFT)
        elif not _is_at(off, 0.0):  # it was interrupted on the way
            await device.run("offset_radec", ra=-off[0], dec=-off[1])
        await device.until(
            TelescopeState,
            lambda now: _is_at(_off(now, ra, dec), 0.0) and abs(now.offset_dec - before.offset_dec) < _TOLERANCE,
            "it was to be back where it pointed",
        )

    trial.undo("back where it pointed", back)
    await trial.step(f"moves by {_SHIFT:g} arcsec", shift, refusals=(*INTERLOCKS, LimitExceeded))


def _off(now: TelescopeState, ra: float, dec: float) -> tuple[float, float]:
    """Arcseconds on the sky from a place. Raises `Deviation` when it does not tell."""
    if now.ra is None or now.dec is None:
        raise Deviation("it does not tell where it points")
    return math.remainder(now.ra - ra, 360.0) * 3600.0 * math.cos(math.radians(dec)), (now.dec - dec) * 3600.0


def _is_at(off: tuple[float, float], by: float) -> bool:
    return all(abs(axis - by) <= _TOLERANCE for axis in off)


__all__ = ["check_telescope"]
