"""Moving the telescope by a guider's correction: by its own means, or by pulses of a guide port."""

from __future__ import annotations

import asyncio
import math

from pytel.automation.guiding_sky import Shift
from pytel.base.errors import DeviceError
from pytel.base.units import Arcsec, ArcsecPerSecond, Duration, Seconds
from pytel.interfaces.guideport import GuideDirection, GuidePort, GuidePortCapabilities
from pytel.interfaces.telescope import Telescope, TelescopeState
from pytel.services import Module

_MOVE: Seconds = 60.0
_SHORTEST: Duration = 0.005
_LEAST_COSINE = 0.05
"""Nearer to the pole pulses in RA would grow without limit."""


async def correct_by_telescope(module: Module, correction: Shift) -> None:
    """Let the telescope correct itself. Raises what `Telescope.guide` raises."""
    await module.find(Telescope, deadline=_MOVE).guide(correction.ra, correction.dec)


async def correct_by_port(module: Module, correction: Shift) -> None:
    """Give pulses on both axes at a time. Raises what `GuidePort.pulse_guide` raises."""
    able = await module.capabilities_of(GuidePortCapabilities)
    rate_ra = able.rate_ra * _slowed(module.latest(TelescopeState))
    east_west = GuideDirection.EAST if correction.ra > 0 else GuideDirection.WEST
    north_south = GuideDirection.NORTH if correction.dec > 0 else GuideDirection.SOUTH
    pulses = (
        (east_west, _pulse(correction.ra, rate_ra, able.max_pulse)),
        (north_south, _pulse(correction.dec, able.rate_dec, able.max_pulse)),
    )
    port = module.find(GuidePort, deadline=able.max_pulse + _MOVE)
    await asyncio.gather(*(port.pulse_guide(way, duration) for way, duration in pulses if duration >= _SHORTEST))


def _slowed(telescope: TelescopeState | None) -> float:
    """How much slower the sky moves in RA than the axis turns. A telescope that is not known stands at the equator."""
    dec = telescope.dec if telescope is not None and telescope.dec is not None else 0.0
    return max(math.cos(math.radians(dec)), _LEAST_COSINE)


def _pulse(angle: Arcsec, rate: ArcsecPerSecond, longest: Duration) -> Duration:
    """How long a pulse is; what is over the longest is left to the next correction. Raises `DeviceError`."""
    if not rate > 0:
        raise DeviceError(f"the guide port tells a rate of {rate:g} arcsec/s: nothing can be corrected with it")
    return min(abs(angle) / rate, longest)
