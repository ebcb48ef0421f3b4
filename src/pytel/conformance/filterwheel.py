"""A filter wheel: one filter on and back."""

from __future__ import annotations

from pytel.conformance.report import Deviation
from pytel.conformance.trial import Trial
from pytel.interfaces.filterwheel import FilterWheelCapabilities, FilterWheelState
from pytel.interfaces.motion import MotionStatus

_NONE_SUCH = "no filter of this name"


async def check_filter_wheel(trial: Trial) -> None:
    """Put the next filter into the beam, and then the first one back."""
    device = trial.device
    names = [each.name for each in device.capabilities(FilterWheelCapabilities).filters]
    here = (await device.state(FilterWheelState)).filter
    if here not in names or len(set(names)) < len(names):
        raise Deviation(f"it has {', '.join(names) or 'no filters'}, and {here or 'none'} in the beam")
    start = here

    async def go(name: str) -> None:
        await device.run("set_filter", name=name)
        await device.until(
            FilterWheelState,
            lambda now: now.status is MotionStatus.IDLE and now.filter == name,
            f"{name} was to be in the beam and it reported that it had arrived",
        )

    following = names[(names.index(start) + 1) % len(names)]
    if following == start:
        trial.skip("moves to another filter", "it has only one")
    else:
        trial.undo(f"back at {start}", lambda: go(start))
        await trial.step(f"moves from {start} to {following}", lambda: go(following))
    await trial.refused("refuses a filter that it has not", "set_filter", long=True, name=_NONE_SUCH)


__all__ = ["check_filter_wheel"]
