"""So many connections in all and of one address: who is one too many is told so, and harms nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.kit import House, until
from gateway.kit import house as open_house
from pytel.bus.http import listener
from pytel.bus.http.places import Places, network


def connections(house: House) -> set[Any]:
    """All that are open, refused ones among them."""
    assert house.gateway._listener is not None
    return set(house.gateway._listener._state.connections)


async def health(house: House) -> tuple[int, dict[str, Any], bytes]:
    """What one more connection is told: status, body and head."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(house.url.rpartition(":")[2]))
    writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(20):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), json.loads(body), head


async def opened(house: House, number: int) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connections on which nothing is asked."""
    port = int(house.url.rpartition(":")[2])
    return [await asyncio.open_connection("127.0.0.1", port) for _ in range(number)]


@pytest.mark.parametrize(
    ("limits", "status"),
    [("connections: 10", 503), ("connections: 12, connections_per_address: 10", 429)],
)
async def test_more_connections_than_there_are_places_for_are_told_so(tmp_path: Path, limits: str, status: int) -> None:
    async with open_house(tmp_path, more=f", {limits}") as house, house.client("otto") as client:
        sockets = [await client.ws_connect("/ws") for _ in range(5)]
        idle = await opened(house, 5)
        told, body, head = await health(house)
        assert (told, body["error"]["status"]) == (status, status)
        assert b"Retry-After" in head
        await sockets[0].send_json({"jsonrpc": "2.0", "id": 1, "method": "session.info"})
        assert (await sockets[0].receive_json(timeout=30))["result"]["name"] == "otto"
        await sockets.pop().close()
        await until(lambda: len(connections(house)) < 10)
        assert (await health(house))[0] == 200
        for _, writer in idle:
            writer.close()
        for socket in sockets:
            await socket.close()


async def test_those_who_are_refused_take_no_places_and_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "REFUSED_IN", 0.2)
    monkeypatch.setattr(listener, "REFUSED_AT_ONCE", 3)
    async with open_house(tmp_path, more=", connections: 10") as house:
        served = await opened(house, 10)
        silent = await opened(house, 6)
        for reader, writer in silent:  # those beyond three are cut at once, the three soon
            async with asyncio.timeout(20):
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
            writer.close()
        await until(lambda: len(connections(house)) == 10)
        served.pop()[1].close()
        await until(lambda: len(connections(house)) == 9)
        assert (await health(house))[0] == 200
        for _, writer in served:
            writer.close()


async def test_behind_a_proxy_all_come_from_its_address(tmp_path: Path) -> None:
    async with open_house(tmp_path, more=", connections_per_address: 1, behind_proxy: true") as house:
        idle = await opened(house, 5)
        assert (await health(house))[0] == 200
        for _, writer in idle:
            writer.close()


def test_hosts_of_one_network_share_their_places() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff:1") != network("2001:db9::1")
    assert network("::ffff:192.0.2.1") == network("192.0.2.1") == "192.0.2.1"
    assert network("unknown") == "unknown"
    places = Places(4, 2)
    assert places.full("192.0.2.1", ["192.0.2.1", "192.0.2.2"]) is None
    assert places.full("2001:db8::1", ["2001:db8::2", "2001:db8::3"]) == (429, places.full("a", ["a", "a"])[1])  # type: ignore[index]
    assert (places.full("a", "bcde") or (0,))[0] == 503
