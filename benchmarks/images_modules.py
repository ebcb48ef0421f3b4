"""The processes of the image benchmark: store, camera and consumer, each a module on `bus: http`, led by stdin.

`python -m benchmarks.images_modules ROLE PLAN` with a plan as JSON: ports, folder, and which roles are `far`
(see nothing of the store's directory, as on another host). Each line on stdin is an order, each on stdout an answer.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from pytel.archive.store import DirectoryImageStore
from pytel.base import clock
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.http.accounts import Accounts
from pytel.bus.http.bus import HttpBus
from pytel.bus.http.config import Listen
from pytel.imaging.fits import write_fits
from pytel.imaging.headers import HeaderCard
from pytel.interfaces.camera import Camera
from pytel.interfaces.images import FrameType, NewImage
from pytel.interfaces.imagestore import ImageStore
from pytel.module.handlers import on
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.services import Module, in_thread

SHAPE = (4096, 4096)


def tell(**content: Any) -> None:
    """Answer."""
    print(json.dumps(content), flush=True)


def noise(seed: int) -> Any:
    """A frame of sky noise."""
    return np.random.default_rng(seed).normal(1000, 12, SHAPE).astype(np.uint16)


def checksum(pixels: Any) -> int:
    """What camera and consumer compare."""
    return zlib.crc32(np.ascontiguousarray(pixels, np.uint16).tobytes())


class Readout(Module, Camera):
    """A camera whose readout takes no time."""

    def prepare(self) -> None:
        """Have a frame ready."""
        self.frame = noise(1)
        self.number = 0

    async def take(self) -> None:
        """Read out, store, tell."""
        self.number += 1
        self.frame[0, 0] = self.number
        pixels = self.frame.copy()
        crc = await in_thread(checksum, pixels)
        read = time.time()
        cards = {"TREAD": HeaderCard(read, "readout ended [s]"), "EXPTIME": HeaderCard(0.0, "[s]")}
        now = clock.now()
        ref = await self.images.put(lambda path: write_fits(path, pixels, cards, created=now))
        event = NewImage(image=ref, camera="camera", frame_type=FrameType.OBJECT, exposure_time=0.0, start=now)
        self.publish(event)
        tell(id=ref.id, read=read, crc=crc)


class Consumer(Module):
    """Reads every image as soon as it hears of it."""

    @on(NewImage, policy="all")
    async def read(self, event: NewImage) -> None:
        """Read it, note the time, and only then look whether it is right."""
        image = await self.images.get(event.image)
        done = time.time()
        tell(id=event.image.id, done=done, crc=await in_thread(checksum, image.pixels))


def make(role: str, plan: dict[str, Any]) -> ModuleRuntime:
    """Make the module of a role."""
    kinds: dict[str, type[Any]] = {"store": DirectoryImageStore, "camera": Readout, "consumer": Consumer}
    ports: dict[str, int] = plan["ports"]
    bus = HttpBus(
        Address(role),
        accounts=Accounts(Path(plan["folder"]) / "accounts.json", dict.fromkeys(ports, False)),
        listen=Listen("127.0.0.1", ports[role]),
        peers={Address(name): f"http://127.0.0.1:{port}" for name, port in ports.items() if name != role},
    )
    site = SiteInfo(
        name="bench",
        location=Location(latitude=0, longitude=0),
        seed=1,
        state_dir=Path(plan["folder"]),
        simulation=None,
    )
    return ModuleRuntime(kinds[role], site=site, bus=bus)


async def main(role: str, plan: dict[str, Any]) -> None:
    """Run a role until stdin ends."""
    if role in plan["far"]:
        from pytel.services import images_shared

        images_shared.is_here = lambda directory: False
    runtime = make(role, plan)
    module: Any = runtime.module
    if role == "camera":
        module.prepare()
    await runtime.start()
    others = len(plan["ports"]) - 1
    while sum(peer.address != runtime.address for peer in runtime.bus.peers()) < others:  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.05)
    tell(ready=role)
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while order := (await orders.readline()).strip():
        if order == b"take":
            await module.take()
        elif order == b"release":
            store = module.find(ImageStore)
            for ref in await store.list_images(unreleased=True):
                await store.release(ref.id)
            tell(released=True)
    await runtime.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
