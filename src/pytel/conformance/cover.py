"""A mirror cover and its lamp: moved only where that was allowed."""

from __future__ import annotations

from pytel.conformance.report import Deviation
from pytel.conformance.trial import Trial
from pytel.interfaces.cover import (
    CalibratorStatus,
    CoverCalibratorCapabilities,
    CoverCalibratorState,
    CoverStatus,
)


async def check_cover(trial: Trial) -> None:
    """Open and close (or the reverse), light the lamp and put it out."""
    device = trial.device
    told = device.capabilities(CoverCalibratorCapabilities)
    state = await device.state(CoverCalibratorState)
    if told.has_cover is (state.cover is CoverStatus.NOT_PRESENT):
        raise Deviation(f"its capabilities say {_has(told.has_cover)} cover, its state {state.cover}")
    if told.has_calibrator is (state.calibrator is CalibratorStatus.NOT_PRESENT):
        raise Deviation(f"its capabilities say {_has(told.has_calibrator)} lamp, its state {state.calibrator}")
    if told.has_calibrator:
        await trial.refused("refuses twice the lamp's light", "calibrator_on", long=True, brightness=2.0)
    if not trial.options.move:
        trial.skip("moves cover and lamp", "only with --move")
        return
    if told.has_cover:
        await _check_cover(trial, state.cover)
    if told.has_calibrator:
        await _check_lamp(trial, state.calibrator)


def _has(there: bool) -> str:
    return "a" if there else "no"


async def _check_cover(trial: Trial, start: CoverStatus) -> None:
    methods = {CoverStatus.OPEN: "open_cover", CoverStatus.CLOSED: "close_cover"}
    if start not in methods:
        trial.skip("moves the cover", f"it is {start}")
        return
    other = CoverStatus.OPEN if start is CoverStatus.CLOSED else CoverStatus.CLOSED

    async def go(wanted: CoverStatus) -> None:
        await trial.device.run(methods[wanted])
        await trial.device.until(
            CoverCalibratorState, lambda now: now.cover is wanted, f"it was to be {wanted} and reported that it is"
        )

    trial.undo(f"{start} again", lambda: go(start))
    await trial.step(f"goes from {start} to {other}", lambda: go(other))


async def _check_lamp(trial: Trial, start: CalibratorStatus) -> None:
    device = trial.device
    if start is not CalibratorStatus.OFF:
        trial.skip("lights the lamp", f"it is {start}")
        return

    async def be(status: CalibratorStatus) -> None:
        await device.until(CoverCalibratorState, lambda now: now.calibrator is status, f"the lamp was to be {status}")

    async def light() -> None:
        await device.run("calibrator_on", brightness=0.5)
        await be(CalibratorStatus.READY)

    async def darken() -> None:
        await device.call("calibrator_off")
        await be(CalibratorStatus.OFF)

    trial.undo("the lamp off again", darken)
    await trial.step("lights the lamp", light)


__all__ = ["check_cover"]
