"""A roof or dome: never opened unless somebody said so, and it is safe."""

from __future__ import annotations

import contextlib

from pytel.conformance.device import ANSWER
from pytel.conformance.report import Deviation
from pytel.conformance.trial import Trial
from pytel.interfaces.enclosure import EnclosureCapabilities, EnclosureState, EnclosureStatus
from pytel.interfaces.safety import SafetyMonitorState
from pytel.module.messages import topic_of


async def check_enclosure(trial: Trial) -> None:
    """Close what is closed; open and close only with `open_roof` and while it may."""
    device = trial.device
    told = device.capabilities(EnclosureCapabilities)
    if told.opening_time <= 0 or told.closing_time <= 0:
        raise Deviation(f"it says that it opens in {told.opening_time:g} s and closes in {told.closing_time:g} s")
    state = await _known(trial)
    if not state.may_open and not state.reasons:
        raise Deviation("it may not open and does not tell why")
    if state.status is not EnclosureStatus.CLOSED:
        trial.skip("opens and closes", f"it is {state.status}, and is left so")
        return
    await trial.step("stays closed when told to close", lambda: _go(trial, "close", EnclosureStatus.CLOSED))
    if not trial.options.open_roof:
        trial.skip("opens and closes", "only with --open-roof")
    elif not state.may_open:
        trial.skip("opens and closes", f"it may not open: {'; '.join(state.reasons)}")
    elif reason := await _unsafe(trial):
        trial.skip("opens and closes", reason)
    else:
        trial.undo("closed again", lambda: _go(trial, "close", EnclosureStatus.CLOSED))
        await trial.step("opens", lambda: _go(trial, "open", EnclosureStatus.OPEN))


async def _known(trial: Trial) -> EnclosureState:
    """What it is, once its hardware has told; after a start that takes a while."""
    with contextlib.suppress(Deviation):
        return await trial.device.until(
            EnclosureState, lambda now: now.status is not EnclosureStatus.UNKNOWN, "it was to know whether it is closed"
        )
    return await trial.device.state(EnclosureState)


async def _go(trial: Trial, method: str, wanted: EnclosureStatus) -> None:
    await trial.device.run(method)
    await trial.device.until(
        EnclosureState, lambda now: now.status is wanted, f"it was to be {wanted} and reported that it is"
    )


async def _unsafe(trial: Trial) -> str:
    """Why no roof may be opened, as far as any safety monitor of the site says; "" where all is well."""
    told = [
        each["data"]
        for each in await trial.device.link.call("states.list", {}, ANSWER)
        if each["topic"] == str(topic_of(SafetyMonitorState))
    ]
    if not told:
        return "no safety monitor says that it is safe"
    return "" if all(data.get("safe") is True for data in told) else "a safety monitor says that it is not safe"


__all__ = ["check_enclosure"]
