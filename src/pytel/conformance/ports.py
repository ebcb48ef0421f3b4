"""Switches and guide ports."""

from __future__ import annotations

from pytel.base.errors import NotReady
from pytel.conformance.report import Deviation
from pytel.conformance.trial import INTERLOCKS, Trial
from pytel.interfaces.guideport import GuideDirection, GuidePortCapabilities, GuidePortState
from pytel.interfaces.switch import SwitchCapabilities, SwitchState

_PULSE = 0.2
_NONE_SUCH = "no port of this name"


async def check_switch(trial: Trial) -> None:
    """Read all ports. None is switched: nobody knows what hangs there."""
    device = trial.device
    ports = device.capabilities(SwitchCapabilities).ports

    async def read() -> str:
        values = (await device.state(SwitchState)).values
        if set(values) != {port.name for port in ports}:
            raise Deviation(f"it has the ports {', '.join(port.name for port in ports)}, but tells {', '.join(values)}")
        for port in ports:
            value = values[port.name]
            if value is not None and port.can_write and not port.minimum <= value <= port.maximum:
                raise Deviation(f"{port.name} is {value:g}, beyond {port.minimum:g} to {port.maximum:g}")
        return f"{len(ports)} ports"

    await trial.step("tells its ports", read, detail=lambda sentence: sentence)
    await trial.refused("refuses a port that it has not", "set_port", long=False, port=_NONE_SUCH, value=0.0)
    for port in ports:
        if port.can_write:
            beyond = port.maximum + 10.0 * max(port.step, 1.0)
            what = f"refuses {beyond:g} for {port.name}"
            await trial.refused(what, "set_port", long=False, port=port.name, value=beyond)
            break
    trial.skip("switches a port", "nobody knows what hangs there")


async def check_guide_port(trial: Trial) -> None:
    """A short pulse north, and one south."""
    device = trial.device
    told = device.capabilities(GuidePortCapabilities)
    if min(told.rate_ra, told.rate_dec, told.max_pulse) <= 0:
        raise Deviation("its rates or its longest pulse are none")

    async def pulse(direction: GuideDirection) -> None:
        await device.run("pulse_guide", direction=direction.value, duration=_PULSE)
        await device.until(GuidePortState, lambda now: now.dec is None, "the pulse was over")

    async def north() -> None:
        await pulse(GuideDirection.NORTH)
        trial.undo(f"a pulse of {_PULSE:g} s south", lambda: pulse(GuideDirection.SOUTH))

    await trial.step(f"a pulse of {_PULSE:g} s north", north, refusals=(*INTERLOCKS, NotReady))
    await trial.refused(
        "refuses a pulse that is too long", "pulse_guide", long=True, direction="north", duration=10.0 * told.max_pulse
    )
    await trial.step("ends pulses when asked, at rest too", lambda: device.call("stop_guide"))


__all__ = ["check_guide_port", "check_switch"]
