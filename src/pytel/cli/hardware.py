"""The simulated hardware of a site, if it has any: a process of its own, or in this one on the virtual clock."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from pytel.module.faults import Fault
from pytel.module.specs import SiteFile

_SIMULATED = "pytel.devices.simulated."


def missing_world(site: SiteFile) -> list[Fault]:
    """A fault if there are simulated devices, but no simulated world that they could belong to."""
    if site.info.simulation is not None:
        return []
    file = site.info.path.name if site.info.path else "site.yaml"
    lost = [spec for spec in site.modules if spec.kind.__module__.startswith(_SIMULATED)]
    hint = "needs the simulated world: add the line 'simulation: {}' to the file"
    return [Fault(file, spec.line, f"{spec.address} {hint}") for spec in lost[:1]]


@contextlib.asynccontextmanager
async def simulated_hardware(site: SiteFile) -> AsyncIterator[None]:
    """Have the simulated world running for the length of a block; one that survived a crash is taken up again."""
    if site.info.simulation is None:
        yield
        return
    from pytel.devices.simulated.hardware import start_world

    world = await start_world(site.info)
    try:
        yield
    finally:
        await world.stop()
