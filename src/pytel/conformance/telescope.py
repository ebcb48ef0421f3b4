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
    ra, dec = before.ra, before.dec

    async def shift(by: float, from_start: float) -> None:
        await device.run("offset_radec", ra=by, dec=by)
        await device.until(
            TelescopeState,
            lambda now: now.status is TelescopeStatus.TRACKING and _is_off(now, ra, dec, from_start),
            f'it was to be {from_start:g}" from where it began and reported that it had arrived',
        )

    trial.undo("back where it pointed", lambda: _back(trial, before))
    await trial.step(
        f"moves by {_SHIFT:g} arcsec", lambda: shift(_SHIFT, _SHIFT), refusals=(*INTERLOCKS, LimitExceeded)
    )


async def _back(trial: Trial, before: TelescopeState) -> None:
    """Take back what it says that it is off, however far it came."""
    device = trial.device
    now = await device.state(TelescopeState)
    ra, dec = before.offset_ra - now.offset_ra, before.offset_dec - now.offset_dec
    if ra or dec:
        await device.run("offset_radec", ra=ra, dec=dec)
    await device.until(
        TelescopeState,
        lambda then: _is_off(then, before.ra or 0.0, before.dec or 0.0, 0.0),
        "it was to be back where it pointed",
    )


def _is_off(now: TelescopeState, ra: float, dec: float, by: float) -> bool:
    if now.ra is None or now.dec is None:
        return False
    off_ra = math.remainder(now.ra - ra, 360.0) * 3600.0 * math.cos(math.radians(dec))
    off_dec = (now.dec - dec) * 3600.0
    return abs(off_ra - by) <= _TOLERANCE and abs(off_dec - by) <= _TOLERANCE


__all__ = ["check_telescope"]
