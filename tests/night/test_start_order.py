"""The order in which modules start does not matter: all orders of five, over a real server."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from astropy.io import fits

from bus.harness import BusHarness, until
from bus.xmpp_harness import XmppHarness
from pytel.archive.archive import DirectoryArchive
from pytel.archive.store import DirectoryImageStore
from pytel.base import clock
from pytel.base.threads import in_thread
from pytel.devices.simulated.camera import SimulatedCamera
from pytel.devices.simulated.focuser import SimulatedFocuser
from pytel.devices.simulated.hardware import start_world
from pytel.devices.simulated.telescope import SimulatedTelescope
from pytel.interfaces import Camera, ImageArchive
from pytel.module import ModuleState
from pytel.module.module import Module

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("world"), pytest.mark.timeout(600)]
FIVE: dict[str, type[Module]] = {
    "telescope": SimulatedTelescope,
    "camera": SimulatedCamera,
    "focuser": SimulatedFocuser,
    "store": DirectoryImageStore,
    "archive": DirectoryArchive,
}
RATE = 100.0


class Asker(Module):
    """Looks on."""


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[XmppHarness]:
    now = clock.real_time()
    with clock.using(clock.ScaledClock(now, now, RATE)):
        harness = XmppHarness(tmp_path, "prosody", "json")
        harness.site = msgspec.structs.replace(harness.site, simulation={"pixels": "stamp"})
        await harness.prepare()
        world = await start_world(harness.site)
        yield harness
        await harness.close()
        await world.stop()


async def test_a_frame_is_taken_and_archived_with_all_its_cards_in_every_order(site: XmppHarness) -> None:
    asker = (await site.start(Asker, "asker")).module
    orders = list(itertools.permutations(FIVE))
    random.Random(1).shuffle(orders)
    for number, order in enumerate(orders, 1):
        for name in order:
            await BusHarness.start(site, FIVE[name], name)
        await until(lambda: ready(asker) >= set(FIVE), within=20)
        image = await asker.find(Camera, deadline=3000.0).expose(1.0)
        path = await until_archived(asker, image.id)
        header = await in_thread(fits.getheader, site.site.state_dir / "archive" / path)
        assert {"FOCALLEN", "FOCUSPOS"} <= set(header), order
        for name in random.Random(number).sample(order, len(order)):
            await site.stop(name)
        await until(lambda: not ready(asker) & set(FIVE), within=20)


def ready(asker: Module) -> set[str]:
    """The modules that serve."""
    return {str(address) for address, state in asker.latest_all(ModuleState).items() if state.status == "ready"}


async def until_archived(asker: Module, image: str) -> str:
    async with asyncio.timeout(20):
        while True:
            for entry in await asker.find(ImageArchive).find_images(limit=1000):
                if entry.id == image:
                    return entry.path
            await asyncio.sleep(0.02)
