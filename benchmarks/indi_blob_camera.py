"""The processes of the benchmark of INDI frames: the image store, and a camera on one of the clients.

`python -m benchmarks.indi_blob_camera ROLE PLAN`; orders on stdin, an answer on stdout for each. What differs between
cameras is how bytes come from the server; all take the same way into the store from there.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import zlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.images_modules import tell
from benchmarks.indi_blob_server import IN_A_ROW
from pytel.archive.store import DirectoryImageStore
from pytel.base import clock
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.http.accounts import Accounts
from pytel.bus.http.bus import HttpBus
from pytel.bus.http.config import Listen
from pytel.devices.indi.blobs import Blob
from pytel.devices.indi.client import IndiClient
from pytel.devices.indi.frames import frame_of
from pytel.devices.indi.protocol import BlobBegins
from pytel.imaging.fits import write_fits
from pytel.imaging.headers import HeaderCard
from pytel.interfaces.images import ImageRef
from pytel.interfaces.imagestore import ImageStore
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.services import Module, in_thread

_PATIENCE = 30.0


class Source(Protocol):
    """Frames by one of the clients."""

    async def open(self) -> None:
        """Connect."""

    async def prepare(self) -> None:
        """What a driver does when an exposure begins."""

    async def ask(self, number: int) -> None:
        """Ask for a frame."""

    async def done(self) -> None:
        """What a driver does when it has the frame."""

    async def frame(self) -> Blob:
        """The next one."""


class Ours:
    """pytel's own client."""

    def __init__(self, device: str, server: str) -> None:
        self._device, self._client = device, IndiClient(server)

    async def open(self) -> None:
        """Connect."""
        await self._client.start()
        await self._client.require(self._device, "GO", _PATIENCE)

    async def prepare(self) -> None:
        """Have frames sent."""
        self._frames = await self._client.blobs(self._device, "CCD1").__aenter__()

    async def ask(self, number: int) -> None:
        """Ask."""
        await self._client.send(self._device, "GO", {"GO": float(number)})

    async def frame(self) -> Blob:
        """The next one."""
        return await self._frames.get(_PATIENCE)

    async def done(self) -> None:
        """Have no more sent."""
        await self._frames.__aexit__(None, None, None)


class Indipyclient:
    """indipyclient, as its documentation shows it."""

    def __init__(self, device: str, server: str) -> None:
        from indipyclient import IPyClient

        self._device = device
        came: asyncio.Queue[Any] = asyncio.Queue()

        class Client(IPyClient):  # type: ignore[misc,unused-ignore]
            async def rxevent(self, event: Any) -> None:
                if event.eventtype == "SetBLOB" and event.devicename == device:
                    came.put_nowait(event["CCD1"])

        host, _, port = server.rpartition(":")
        self._client = Client(indihost=host, indiport=int(port))
        self._came = came

    async def open(self) -> None:
        """Connect."""
        self._task = asyncio.create_task(self._client.asyncrun())
        while self._device not in self._client or "CCD1" not in self._client[self._device]:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.05)
        await self._client.send_enableBLOB("Also", self._device)
        await asyncio.sleep(0.5)

    async def prepare(self) -> None:
        """Nothing."""

    async def done(self) -> None:
        """Nothing."""

    async def ask(self, number: int) -> None:
        """Ask."""
        await self._client.send_newVector(self._device, "GO", members={"GO": number})

    async def frame(self) -> Blob:
        """The next one."""
        async with asyncio.timeout(_PATIENCE):
            return as_blob(await self._came.get())


class Pyindi:
    """pyindi-client: its callbacks come from a thread of its own."""

    def __init__(self, device: str, server: str) -> None:
        import PyIndi

        self._device, self._module = device, PyIndi
        came: asyncio.Queue[Any] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        class Client(PyIndi.BaseClient):  # type: ignore[misc,unused-ignore]
            def updateProperty(self, given: Any) -> None:  # noqa: N802 - theirs
                if given.getType() == PyIndi.INDI_BLOB and given.getDeviceName() == device:
                    content = PyIndi.PropertyBlob(given)[0].getblobdata()
                    loop.call_soon_threadsafe(came.put_nowait, content)

        self._client, self._came = Client(), came
        if server.startswith("/"):
            self._client.setServer(f"localhost:{server}", 0)
        else:
            host, _, port = server.rpartition(":")
            self._client.setServer(host, int(port))

    async def open(self) -> None:
        """Connect."""
        if not self._client.connectServer():
            raise OSError("pyindi-client cannot connect")
        self._go = await self._number("GO")
        await self._number("CCD1", blob=True)
        self._client.setBLOBMode(self._module.B_ALSO, self._device, None)
        await asyncio.sleep(0.5)

    async def _number(self, name: str, blob: bool = False) -> Any:
        async with asyncio.timeout(_PATIENCE):
            while True:
                device = self._client.getDevice(self._device)
                found = (device.getBLOB(name) if blob else device.getNumber(name)) if device else None
                if found and found.isValid():
                    return found
                await asyncio.sleep(0.05)

    async def prepare(self) -> None:
        """Nothing."""

    async def done(self) -> None:
        """Nothing."""

    async def ask(self, number: int) -> None:
        """Ask."""
        self._go[0].setValue(number)
        self._client.sendNewProperty(self._go)

    async def frame(self) -> Blob:
        """The next one."""
        async with asyncio.timeout(_PATIENCE):
            return as_blob(await self._came.get())


SOURCES: dict[str, type[Any]] = {"ours": Ours, "indipyclient": Indipyclient, "pyindi": Pyindi}


def as_blob(content: Any) -> Blob:
    """The bytes that a peer gives."""
    return Blob(BlobBegins({}, {}), ".fits", memoryview(content), 0.0, lambda: None)


class CameraOnIndi(Module):
    """Brings frames into the store, as a driver does."""

    source: Source

    async def take(self, number: int) -> None:
        """One frame; the answer tells the milliseconds until the store had it."""
        await self.source.prepare()
        processor, begun = time.process_time(), time.perf_counter()
        await self.source.ask(number)
        blob = await self.source.frame()
        came = time.perf_counter()
        ref = await self._put(blob)
        done, processor = time.perf_counter(), time.process_time() - processor
        blob.close()
        image = await self.images.get(ref)
        crc = await in_thread(lambda: zlib.crc32(np.ascontiguousarray(image.pixels).tobytes()))
        await self.find(ImageStore).release(ref.id)
        tell(total=(done - begun) * 1000, client=(came - begun) * 1000, processor=processor * 1000, crc=crc)

    async def _put(self, blob: Blob) -> ImageRef:
        frame = await in_thread(frame_of, blob)
        await self.source.done()
        now, cards = clock.now(), {"EXPTIME": HeaderCard(1.0, "[s]")}
        return await self.images.put(lambda path: write_fits(path, frame, cards, created=now))

    async def hold(self) -> None:
        """Frames in a row that nobody fetches for a while: how many are in memory at most?"""
        await self.source.prepare()
        before = _memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # noqa: ASYNC240 - no disk behind it
        await self.source.ask(-1)
        await asyncio.sleep(4.0)
        for _ in range(IN_A_ROW):
            (await self.source.frame()).close()
        await self.source.done()
        tell(mebibytes=_memory("VmHWM") - before)


def _memory(what: str) -> float:
    text = Path("/proc/self/status").read_text()
    return int(text.partition(f"{what}:")[2].split()[0]) / 1024


def make(role: str, plan: dict[str, Any]) -> ModuleRuntime:
    """The module of a role."""
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
    if role == "store":
        settings = DirectoryImageStore.Config(capacity=2**29)
        return ModuleRuntime(DirectoryImageStore, config=settings, site=site, bus=bus)
    return ModuleRuntime(CameraOnIndi, site=site, bus=bus)


async def main(role: str, plan: dict[str, Any]) -> None:
    """Run a role until stdin ends."""
    runtime = make(role, plan)
    await runtime.start()
    module: Any = runtime.module
    if role != "store":
        while not module.has(ImageStore):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.05)
        client, _, transport = role.partition("-")
        module.source = SOURCES[client](role, plan[transport])
        await module.source.open()
    tell(ready=role)
    orders = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    while order := (await orders.readline()).decode().split():
        await (module.take(int(order[1])) if order[0] == "take" else module.hold())
    await runtime.stop()
    # Some clients have threads and tasks that do not end.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
