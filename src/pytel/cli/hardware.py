"""The simulated hardware of a site, if it has any: a process of its own, or in this one on the virtual clock."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from pytel.module.sitefile import SiteFile


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
