"""Two hundred who read along, one of whom does not."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from gateway.kit import House, LampState, until
from gateway.test_news import Deaf

CLIENTS = 200
UPDATES = 50
PERIOD = 0.1


async def read_along(socket: aiohttp.ClientWebSocketResponse) -> list[int]:
    """Levels as they come, up to the last."""
    levels: list[int] = []
    while not levels or levels[-1] < UPDATES:
        message = await socket.receive(timeout=60)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        told: dict[str, Any] = json.loads(message.data)
        assert told.get("method") != "events.dropped"
        if told.get("method") == "state":
            levels.append(told["params"]["data"]["level"])
    return levels


@pytest.mark.slow
async def test_two_hundred_read_ten_states_a_second_and_one_who_does_not_costs_the_others_nothing(house: House) -> None:
    house.lamp.publish(LampState(level=0))
    deaf = Deaf(house)
    await deaf.connect()
    async with house.client("otto") as client:
        opened = await asyncio.gather(*(client.ws_connect("/ws") for _ in range(CLIENTS)))
        request = {"jsonrpc": "2.0", "id": 1, "method": "events.subscribe", "params": {"topics": ["Lamp"]}}
        for socket in opened:
            await socket.send_json(request)
        await until(lambda: house.gateway.news.readers == CLIENTS + 1)
        reading = [asyncio.create_task(read_along(socket)) for socket in opened]
        for level in range(1, UPDATES + 1):
            # The filling is more than a connection that nobody reads can hold.
            house.lamp.publish(LampState(level=level, filling="x" * 5000))
            await asyncio.sleep(PERIOD)
        for levels in await asyncio.gather(*reading):
            assert levels == list(range(UPDATES + 1))
        for socket in opened:
            await socket.close()
    deaf.socket.close()
