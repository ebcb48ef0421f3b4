"""Images pass through from their store: ranges, tags, headers, previews; nothing else does."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from astropy.io import fits

from gateway.kit import House, rpc_call
from gateway.kit import house as open_house
from pytel.base import ids
from pytel.base.threads import in_thread
from pytel.bus.address import Address
from pytel.bus.contract import CallOptions


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """With two stores."""
    stores = "  store: {type: directory-store, primary: true}\n  spare: {type: directory-store}\n"
    async with open_house(tmp_path, modules=stores) as opened:
        yield opened


def frame() -> bytes:
    file = io.BytesIO()
    pixels = np.arange(200 * 300, dtype=np.uint16).reshape(200, 300)
    fits.PrimaryHDU(pixels, fits.Header([("OBJECT", "M 31")])).writeto(file)
    return file.getvalue()


async def stored(house: House, content: bytes, store: str = "store") -> str:
    access = await house.gateway.door.bus.call(Address(store), "access", {}, CallOptions())
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())) as client:
        headers = {"Authorization": f"Bearer {access['token']}", "Content-Type": "application/fits"}
        async with client.post(f"{access['url']}/images", data=io.BytesIO(content), headers=headers) as response:
            assert response.status == 201, await response.text()
            return str((await response.json())["id"])


async def test_an_image_comes_whole_in_ranges_and_not_again(house: House) -> None:
    content = await in_thread(frame)
    image = await stored(house, content)
    async with house.client("otto") as client:
        async with client.get(f"/images/{image}") as response:
            assert response.status == 200
            assert await response.read() == content
            tag = response.headers["ETag"]
            assert tag == f'"{hashlib.sha256(content).hexdigest()}"'
            assert response.headers["Content-Type"] == "application/fits"
            assert "immutable" in response.headers["Cache-Control"]
            assert response.headers["X-Content-Type-Options"] == "nosniff"
        async with client.get(f"/images/{image}", headers={"Range": "bytes=100-199"}) as response:
            assert (response.status, await response.read()) == (206, content[100:200])
        async with client.get(f"/images/{image}", headers={"Range": "bytes=99999999-"}) as response:
            assert response.status == 416
        async with client.get(f"/images/{image}", headers={"If-None-Match": tag}) as response:
            assert (response.status, await response.read()) == (304, b"")
        async with client.head(f"/images/{image}") as response:
            assert int(response.headers["Content-Length"]) == len(content)
        async with client.get(f"/images/{image}/header") as response:
            assert ["OBJECT", "M 31"] in [card[:2] for card in await response.json()]
        async with client.get(f"/images/{image}/preview.webp", params={"size": "100"}) as response:
            assert response.headers["Content-Type"] == "image/webp"
        async with client.get(f"/images/{image}/pixels", params={"bin": "x"}) as response:
            assert response.status == 400


async def test_every_store_is_asked_and_one_that_restarts_is_found_again(house: House) -> None:
    content = await in_thread(frame)
    first, second = await stored(house, content), await stored(house, content, "spare")
    async with house.client("otto") as client:
        for image in (first, second):
            async with client.get(f"/images/{image}") as response:
                assert await response.read() == content
        await house.supervisor.restart_module("store")
        async with client.get(f"/images/{first}") as response:
            assert await response.read() == content
        await house.supervisor.stop_module("store")
        async with client.get(f"/images/{second}") as response:
            assert await response.read() == content
        await house.supervisor.stop_module("spare")
        async with client.get(f"/images/{second}") as response:
            assert response.status == 503


async def test_what_is_no_image(house: House) -> None:
    async with house.client("otto") as client:
        for path in (ids.new_id(), "x", "..", f"{ids.new_id()}/x", f"{ids.new_id()}/header/x", "%2e%2e%2fhealth"):
            async with client.get(f"/images/{path}") as response:
                assert response.status == 404, path
        for method in ("POST", "PUT", "DELETE"):
            async with client.request(method, f"/images/{ids.new_id()}", data=b"x") as response:
                assert response.status == 405
    async with house.client(None) as client, client.get(f"/images/{ids.new_id()}") as response:
        assert response.status == 401


async def test_a_client_that_leaves_in_the_middle_harms_nobody(house: House) -> None:
    content = await in_thread(frame) + b"\0" * (8 << 20)
    image = await stored(house, content)
    async with house.client("otto") as client:
        for _ in range(5):
            response = await client.get(f"/images/{image}")
            await response.content.read(1000)
            response.close()
        await asyncio.sleep(0.1)
        async with client.get(f"/images/{image}") as response:
            assert hashlib.sha256(await response.read()).digest() == hashlib.sha256(content).digest()
        assert "result" in await rpc_call(client, "lamp.who_asks")
