"""BLOBs: whole or an error, no more than four at a time, and nothing left open."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from indi_kit import CAMERA, FOCUSER, IndiServer, Starter
from pytel.base.errors import ConnectionLost, DeviceError, DeviceTimeout, NotReady
from pytel.devices.indi.blobs import KEPT, BlobStream
from pytel.devices.indi.client import IndiClient

from .lying import (
    DEVICE,
    Speaker,
    Visit,
    attached,
    blob,
    blob_definition,
    lying_server,
    open_descriptors,
    shared_memory,
)
from .test_client import PATIENCE, connected, switch_on

pytestmark = pytest.mark.slow


@contextlib.asynccontextmanager
async def frames_of(speak: Speaker, path: Path | None = None) -> AsyncIterator[BlobStream]:
    """The BLOBs of a lying server, which says `speak` once BLOBs are enabled."""

    async def visit(visit: Visit) -> None:
        await visit.hear("<enableBLOB device=.Liar. name=.CCD1.>Also</enableBLOB>\n<getProperties")
        await visit.say(blob_definition())
        await speak(visit)

    async with lying_server(visit, path) as address, IndiClient(address).blobs(DEVICE, "CCD1") as frames:
        yield frames


async def silence(visit: Visit) -> None:
    """Say no more."""
    with contextlib.suppress(ConnectionError):
        await visit.hear("nothing that a client says")


async def test_whole_ones_of_all_kinds() -> None:
    content = os.urandom(300_001)

    async def speak(visit: Visit) -> None:
        await visit.say(blob(content))
        await visit.say(blob(content, encoded=base64.b64encode(content)))
        packed = base64.b64encode(zlib.compress(content))
        await visit.say(blob(content, form=".fits.z", encoded=packed, size=len(content)))
        await visit.say(blob(b"of another", name="CCD2") + blob(b"", form=".txt"))
        await silence(visit)

    async with frames_of(speak) as frames:
        for form in (".fits", ".fits", ".fits"):
            frame = await frames.get(PATIENCE)
            assert (frame.format, frame.member, frame.data.readonly) == (form, "CCD1", True)
            assert frame.data == content
            frame.close()
        last = await frames.get(PATIENCE)
        assert (last.format, bytes(last.data), last.timestamp) == (".txt", b"", "2026-11-23T00:00:00")
        last.close()
        last.close()


@pytest.mark.parametrize(
    ("lie", "said"),
    [
        (blob(b"abc", size=4), "has 3 bytes of the 4"),
        (blob(b"abc" * 100, size=4), "has more than the 4"),
        (blob(b"abc", size="many"), "is said to have 'many' bytes"),
        (blob(b"abc", size=1 << 40), "is said to have"),
        (blob(b"abc", encoded=b"####"), "is no base64"),
        (blob(b"abcd", encoded=b"YWJjZA"), "has 3 bytes of the 4"),
        (blob(b"abc", form=".fits.z"), "cannot be decompressed"),
        (attached(10).encode(), "came without its shared memory"),
    ],
    ids=range(8),
)
async def test_a_lie_is_an_error_and_the_next_one_comes(lie: bytes, said: str) -> None:
    async def speak(visit: Visit) -> None:
        await visit.say(lie + blob(b"honest"))
        await silence(visit)

    async with frames_of(speak) as frames:
        with pytest.raises(DeviceError, match=said):
            await frames.get(PATIENCE)
        assert bytes((await frames.get(PATIENCE)).data) == b"honest"


async def test_half_a_blob_and_then_the_link_is_cut() -> None:
    turns: list[Visit] = []

    async def speak(visit: Visit) -> None:
        turns.append(visit)
        whole = blob(bytes(3_000_000))
        await visit.say(whole[: len(whole) // 2] if len(turns) == 1 else whole)
        if len(turns) > 1:
            await silence(visit)

    async with frames_of(speak) as frames:
        with pytest.raises(ConnectionLost, match="closed the link"):
            await frames.get(PATIENCE)
        assert len((await frames.get(PATIENCE)).data) == 3_000_000


async def test_nothing_comes_and_a_fault_comes() -> None:
    async def speak(visit: Visit) -> None:
        await visit.hear("never")

    async with frames_of(speak) as frames:
        with pytest.raises(DeviceTimeout, match="Liar sent no CCD1 within"):
            await frames.get(0.1)

    async def fault(visit: Visit) -> None:
        await visit.say(f'<setBLOBVector device="{DEVICE}" name="CCD1" state="Alert" message="No heat"/>')
        await silence(visit)

    async with frames_of(fault) as frames:
        with pytest.raises(DeviceError, match="fault of CCD1: No heat"):
            await frames.get(PATIENCE)


async def test_no_more_than_four_are_taken() -> None:
    size, sent = 2_000_000, 0

    async def speak(visit: Visit) -> None:
        nonlocal sent
        for number in range(20):
            await visit.say(blob(bytes([number]) * size))
            sent += 1
        await silence(visit)

    async with frames_of(speak) as frames:
        first = await frames.get(PATIENCE)
        held = -1
        while held != sent:
            held = sent
            await asyncio.sleep(1.0)
        # What the kernel holds for a link is no more than a few megabytes.
        assert KEPT <= held <= KEPT + 6
        pixels = np.frombuffer(first.data, np.uint8)
        first.close()
        seen = [0]
        while len(seen) < 20:
            frame = await frames.get(PATIENCE)
            seen.append(frame.data[size // 2])
            frame.close()
        assert seen == list(range(20))
        assert pixels.max() == 0, "an array made of a frame keeps its bytes"


async def test_a_frame_that_nobody_closed_makes_room_when_it_is_forgotten() -> None:
    async def speak(visit: Visit) -> None:
        for _ in range(3 * KEPT):
            await visit.say(blob(b"frame"))
        await silence(visit)

    async with frames_of(speak) as frames:
        kept = [await frames.get(PATIENCE) for _ in range(KEPT)]
        with pytest.raises(DeviceTimeout, match="4 of its frames are still held"):
            await frames.get(0.2)
        del kept
        for _ in range(2 * KEPT):
            await frames.get(PATIENCE)


async def test_shared_memory_and_its_descriptors(tmp_path: Path) -> None:
    content = os.urandom(100_000)
    path = tmp_path / "socket"

    async def speak(visit: Visit) -> None:
        descriptors = [shared_memory(content) for _ in range(6)]
        visit.say_with(attached(len(content)), descriptors[:1])
        visit.say_with(attached(len(content)) * 2, descriptors[1:3])
        visit.say_with(attached(len(content) + 1), descriptors[3:4])
        visit.say_with(attached(len(content), name="CCD2"), descriptors[4:5])
        packed = shared_memory(zlib.compress(content))
        visit.say_with(attached(len(content), form=".z"), [packed])
        visit.say_with('<message device="x"/>', descriptors[5:])
        await visit.say(blob(b"not attached"))
        for descriptor in [*descriptors, packed]:
            os.close(descriptor)
        await silence(visit)

    before = open_descriptors()
    async with frames_of(speak, path) as frames:
        for _ in range(3):
            frame = await frames.get(PATIENCE)
            assert frame.data == content
            frame.close()
        with pytest.raises(DeviceError, match="has less than the 100001 bytes"):
            await frames.get(PATIENCE)
        assert (await frames.get(PATIENCE)).data == content
        assert bytes((await frames.get(PATIENCE)).data) == b"not attached"
    assert open_descriptors() == before


async def test_more_descriptors_than_anybody_needs(tmp_path: Path) -> None:
    async def speak(visit: Visit) -> None:
        descriptor = shared_memory(b"x")
        with contextlib.suppress(OSError):
            for _ in range(30):
                visit.say_with("<message/>", [descriptor] * 10)
        os.close(descriptor)

    before = open_descriptors()
    async with frames_of(speak, tmp_path / "socket") as frames:
        with pytest.raises(ConnectionLost):
            await frames.get(PATIENCE)
    assert open_descriptors() == before


async def test_there_is_no_such_blob(indi_server: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytel.devices.indi.blobs._DEFINED_WITHIN", 0.5)
    server = await indi_server("indi_simulator_focus")
    async with connected(server.address) as client:
        with pytest.raises(NotReady, match=r"Focuser Simulator of .* has no BLOB CCD1"):
            async with client.blobs(FOCUSER, "CCD1"):
                pass
    await server.kill()
    with pytest.raises(ConnectionLost, match="cannot be reached"):
        async with IndiClient(server.address).blobs(FOCUSER, "CCD1"):
            pass


async def expose(client: IndiClient, seconds: float) -> None:
    """Begin an exposure."""
    await client.set(CAMERA, "CCD_EXPOSURE", {"CCD_EXPOSURE_VALUE": seconds}, PATIENCE, done=lambda vector: True)


async def camera(client: IndiClient) -> None:
    """Connect the camera."""
    await switch_on(client, CAMERA)
    await client.require(CAMERA, "CCD_EXPOSURE", PATIENCE)


def address_of(server: IndiServer, transport: str) -> str:
    """One of the addresses of a server."""
    return server.address if transport == "tcp" else server.socket


@pytest.mark.parametrize("transport", ["tcp", "unix"])
async def test_frames_of_the_simulator(indi_server: Starter, transport: str) -> None:
    server = await indi_server("indi_simulator_ccd")
    before = open_descriptors()
    async with connected(address_of(server, transport)) as client:
        await camera(client)
        async with client.blobs(CAMERA, "CCD1") as frames:
            for _ in range(3):
                await expose(client, 0.05)
                frame = await frames.get(PATIENCE)
                assert (frame.format, bytes(frame.data[:9])) == (".fits", b"SIMPLE  =")
                assert len(frame.data) % 2880 == 0
                frame.close()
    assert open_descriptors() <= before


@pytest.mark.parametrize("transport", ["tcp", "unix"])
async def test_the_server_is_killed_in_mid_exposure(indi_server: Starter, transport: str) -> None:
    server = await indi_server("indi_simulator_ccd")
    async with connected(address_of(server, transport)) as client:
        await camera(client)
        async with client.blobs(CAMERA, "CCD1") as frames:
            await expose(client, 30.0)
            await server.kill()
            with pytest.raises(ConnectionLost):
                await frames.get(PATIENCE)
            await server.restart()
            await camera(client)
            await frames.until_enabled(PATIENCE)
            await expose(client, 0.05)
            frame = await frames.get(PATIENCE)
            assert bytes(frame.data[:9]) == b"SIMPLE  ="


@pytest.mark.parametrize("transport", ["tcp", "unix"])
async def test_frames_come_again_after_camera_and_driver_went(indi_server: Starter, transport: str) -> None:
    server = await indi_server("indi_simulator_ccd")
    async with connected(address_of(server, transport)) as client:
        await camera(client)
        gone = asyncio.Event()
        client.on_presence(CAMERA, lambda present: None if present else gone.set())
        async with client.blobs(CAMERA, "CCD1") as frames:
            for how in ("camera", "driver", ""):
                await frames.until_enabled(PATIENCE)
                await expose(client, 0.05)
                assert bytes((await frames.get(PATIENCE)).data[:9]) == b"SIMPLE  ="
                if how == "camera":
                    away = {"DISCONNECT": True}
                    await client.set(CAMERA, "CONNECTION", away, PATIENCE, lambda vector: vector.on("DISCONNECT"))
                elif how == "driver":
                    await server.unplug("indi_simulator_ccd")
                    await asyncio.wait_for(gone.wait(), PATIENCE)
                    await server.plug("indi_simulator_ccd")
                await camera(client)
