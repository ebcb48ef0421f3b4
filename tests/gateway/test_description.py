"""The gateway does what its description says, and nothing that is made from that harms it."""

from __future__ import annotations

from pathlib import Path

import pytest

from description_kit import fuzz
from gateway.kit import PASSWORDS, House, LampState, basic
from gateway.kit import house as open_house
from gateway.test_images import frame, stored
from pytel.base.threads import in_thread
from pytel.gateway.operations import OPERATIONS


async def test_every_route_is_described(house: House) -> None:
    async with house.client(None) as client, client.get("/openapi.json") as response:
        assert response.status == 200
        document = await response.json()
    assert document["x-websockets"] == ["/ws"]
    described = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert described == set(OPERATIONS)


@pytest.mark.slow
async def test_it_does_what_its_description_says(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with open_house(tmp_path, modules="  store: {type: directory-store}\n") as house:
        house.lamp.publish(LampState(level=1))
        image = await stored(house, await in_thread(frame))
        seen = await fuzz(house.url, {"Authorization": basic("otto", PASSWORDS["otto"])}, [image])
        assert {("GET /state", 200), ("GET /events", 200), ("POST /rpc", 200), ("GET /session", 401)} <= seen
        assert {("GET /images/{id}", 200), ("GET /images/{id}/pixels", 200), ("GET /images/{id}/header", 401)} <= seen
        assert house.gateway._runtime.lifecycle.healthy
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
