"""The check of a module: what is the same for all, then each interface in turn, under the control lease."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from pytel.base.errors import MethodNotFound, ModuleNotFound, NotFound, PytelError
from pytel.base.units import Seconds
from pytel.bus.address import Address
from pytel.conformance.camera import check_camera
from pytel.conformance.cover import check_cover
from pytel.conformance.device import ANSWER, Device, Link
from pytel.conformance.enclosure import check_enclosure
from pytel.conformance.filterwheel import check_filter_wheel
from pytel.conformance.focuser import check_focuser
from pytel.conformance.ports import check_guide_port, check_switch
from pytel.conformance.report import Deviation, Finding, Options, Report
from pytel.conformance.rotator import check_rotator
from pytel.conformance.sensing import check_safety, check_weather
from pytel.conformance.telescope import check_telescope
from pytel.conformance.trial import Trial
from pytel.interfaces.control import Control
from pytel.module.faults import nearest
from pytel.module.messages import ModuleState

Check = Callable[[Trial], Awaitable[None]]
CHECKS: dict[str, Check] = {
    "Camera": check_camera,
    "CoverCalibrator": check_cover,
    "Enclosure": check_enclosure,
    "FilterWheel": check_filter_wheel,
    "Focuser": check_focuser,
    "GuidePort": check_guide_port,
    "Rotator": check_rotator,
    "SafetyMonitor": check_safety,
    "Switch": check_switch,
    "Telescope": check_telescope,
    "WeatherStation": check_weather,
}
"""What is checked, by interface."""
_RENEW: Seconds = 20.0
_MODULE = "module"


async def check_module(
    link: Link, address: str, options: Options, tell: Callable[[Finding], None] = lambda finding: None
) -> Report:
    """Try a device through its module; `tell` is called with each finding as it comes.

    All that was moved is put back, also when this is cancelled. Raises `ModuleNotFound`, `ControlHeld` when somebody
    else has control, `NotFound` for a module without an interface that can be checked.
    """
    described = await _described(link, address)
    about = described.get("x-pytel", {})
    names = tuple(str(urn).split(":")[3] for urn in about.get("interfaces", ()))
    checked = [name for name in names if name in CHECKS]
    if not checked:
        raise NotFound(f"{address} has no interface of a device, only {', '.join(names) or 'none'}")
    device = Device(link, address, described)
    findings: list[Finding] = []
    async with _control(link, address):
        for name in (_MODULE, *checked):
            trial = Trial(device, name, options, tell)
            findings += await _tried(trial, CHECKS.get(name, _check_any))
    return Report(
        module=address,
        type=str(about.get("type", "")),
        interfaces=names,
        capabilities=dict(about.get("capabilities", {})),
        findings=tuple(findings),
    )


async def _described(link: Link, address: str) -> Mapping[str, Any]:
    peers = [str(peer["address"]) for peer in await link.call("modules.list", {}, ANSWER)]
    if address not in peers:
        raise ModuleNotFound(f"there is no module {address!r}; {nearest(address, peers)}")
    described: Mapping[str, Any] = await link.call(f"{address}.rpc.discover", {}, ANSWER)
    return described


async def _tried(trial: Trial, check: Check) -> list[Finding]:
    """Run one check and put everything back."""
    try:
        await check(trial)
    except (Deviation, PytelError) as error:
        await trial.failed("can be tried", error)
    finally:
        await trial.restore()
    return trial.findings


async def _check_any(trial: Trial) -> None:
    """What holds for modules of all kinds."""
    device = trial.device

    async def ready() -> str:
        state = await device.state(ModuleState)
        if state.error is not None:
            raise Deviation(f"{state.status}: {state.error.message}")
        if str(state.status) != "ready":
            raise Deviation(f"it is {state.status}")
        return str(state.status)

    async def unknown() -> None:
        try:
            await device.call("no_such_method")
        except MethodNotFound:
            return
        raise Deviation("a method that it has not was accepted")

    await trial.step("is ready", ready, detail=lambda sentence: sentence)
    await trial.step("refuses a method that it has not", unknown)


@contextlib.asynccontextmanager
async def _control(link: Link, address: str) -> AsyncIterator[None]:
    """Have the control lease for the length of a block; where nobody lends it, none is needed."""
    keeper = await _lender(link, address)
    if keeper is None:
        yield
        return
    held = await _holder(link, keeper)
    lease = await link.call(f"{keeper}.take", {}, ANSWER)
    renewing = asyncio.create_task(_renew(link, keeper), name="renew the control lease")
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.wait([renewing])
        # Whoever had it before, for one who called `take` by hand, goes on having it.
        if held != lease.get("holder"):
            with contextlib.suppress(PytelError):
                await link.call(f"{keeper}.release", {}, ANSWER)


async def _lender(link: Link, address: str) -> str | None:
    group = Address.parse(address).group
    for peer in await link.call("modules.list", {}, ANSWER):
        offers = [str(urn).split(":")[3] for urn in peer["interfaces"]]
        if Control.__name__ in offers and Address.parse(peer["address"]).group in (None, group):
            return str(peer["address"])
    return None


async def _holder(link: Link, keeper: str) -> str | None:
    for told in await link.call("states.list", {}, ANSWER):
        if told["publisher"] == keeper and ":Control:" in told["topic"]:
            return told["data"].get("holder")  # type: ignore[no-any-return]
    return None


async def _renew(link: Link, keeper: str) -> None:
    while True:
        await asyncio.sleep(_RENEW)
        with contextlib.suppress(PytelError):  # one that is lost shows itself at the next motion
            await link.call(f"{keeper}.renew", {}, ANSWER)


__all__ = ["CHECKS", "check_module"]
