"""A focuser: a few steps and back."""

from __future__ import annotations

from pytel.conformance.report import Deviation
from pytel.conformance.trial import Trial
from pytel.interfaces.focuser import FocuserCapabilities, FocuserState
from pytel.interfaces.motion import MotionStatus

_STEPS = 10


async def check_focuser(trial: Trial) -> None:
    """Move by ten steps and back, beyond the travel, and stop."""
    device = trial.device
    told = device.capabilities(FocuserCapabilities)
    state = await device.state(FocuserState)
    if not told.min_position < told.max_position or told.step <= 0:
        raise Deviation(f"its travel is {told.min_position:g} to {told.max_position:g} mm in steps of {told.step:g} mm")
    if state.base is None or state.position is None:
        raise Deviation("it does not tell where it stands")
    start, shift = state.base, _STEPS * told.step
    target = start + shift if state.position + shift <= told.max_position else start - shift

    async def go(base: float) -> None:
        await device.run("set_focus", position=base)
        await device.until(
            FocuserState,
            lambda now: (
                now.status is MotionStatus.IDLE and now.base is not None and abs(now.base - base) <= 2.5 * told.step
            ),
            f"it was to stand at {base:.4f} mm and reported that it had arrived",
        )

    trial.undo(f"back at {start:.4f} mm", lambda: go(start))
    await trial.step(f"moves by {_STEPS} steps to {target:.4f} mm", lambda: go(target))
    beyond = told.max_position - state.offset + max(shift, 0.01 * (told.max_position - told.min_position))
    await trial.refused(f"refuses {beyond:.3f} mm, beyond its travel", "set_focus", long=True, position=beyond)
    await trial.step("stops when asked, at rest too", lambda: device.call("stop"))


__all__ = ["check_focuser"]
