"""A rotator: two degrees and back."""

from __future__ import annotations

import math

from pytel.conformance.report import Deviation
from pytel.conformance.trial import Trial
from pytel.interfaces.motion import MotionStatus
from pytel.interfaces.rotator import RotatorCapabilities, RotatorState

_SHIFT = 2.0
_TOLERANCE = 0.5


async def check_rotator(trial: Trial) -> None:
    """Turn by two degrees and back, beyond the travel, and stop."""
    device = trial.device
    told = device.capabilities(RotatorCapabilities)
    state = await device.state(RotatorState)
    if not told.min_mechanical < told.max_mechanical or told.rate <= 0:
        raise Deviation(f"its travel is {told.min_mechanical:g} to {told.max_mechanical:g} deg")
    if state.mechanical is None:
        raise Deviation("it does not tell where it stands")
    if state.following:
        trial.skip("turns by 2 deg", "it follows the sky; stop it first")
        return
    start = state.mechanical
    target = start + _SHIFT if start + _SHIFT <= told.max_mechanical else start - _SHIFT

    async def go(angle: float) -> None:
        await device.run("move_mechanical", angle=angle)
        await device.until(
            RotatorState,
            lambda now: (
                now.status is MotionStatus.IDLE
                and now.mechanical is not None
                and abs(math.remainder(now.mechanical - angle, 360.0)) <= _TOLERANCE
            ),
            f"it was to stand at {angle:.2f} deg and reported that it had arrived",
        )

    trial.undo(f"back at {start:.2f} deg", lambda: go(start))
    await trial.step(f"turns by {_SHIFT:g} deg to {target:.2f} deg", lambda: go(target))
    beyond = told.max_mechanical + 10.0
    await trial.refused(f"refuses {beyond:g} deg, beyond its travel", "move_mechanical", long=True, angle=beyond)
    await trial.step("stops when asked, at rest too", lambda: device.call("stop"))


__all__ = ["check_rotator"]
