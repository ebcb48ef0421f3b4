"""States and events over `/ws` and `/events`: in order, once, again after a break, and nobody waits for the slow."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
from typing import Any

import aiohttp
import pytest

from gateway.kit import PASSWORDS, Blinked, House, LampState, basic, until
from pytel.bus.http import listener
from pytel.gateway import events, news, websocket


async def ask(socket: aiohttp.ClientWebSocketResponse, method: str, **params: Any) -> Any:
    """Ask and return the answer; what is told meanwhile goes into `socket.told`."""
    await socket.send_json({"jsonrpc": "2.0", "id": method, "method": method, "params": params})
    while True:
        message = await socket.receive_json(timeout=30)
        if message.get("id") == method:
            return message


async def next_told(socket: aiohttp.ClientWebSocketResponse, method: str) -> Any:
    """The parameters of the next notification of a kind."""
    while True:
        message = await socket.receive_json(timeout=30)
        if message.get("method") == method:
            return message["params"]


async def test_calls_go_both_ways(house: House) -> None:
    async with house.client() as client, client.ws_connect("/ws") as socket:
        assert (await ask(socket, "lamp.who_asks"))["result"] == "gateway/anna observer"
        assert (await ask(socket, "lamp.set_level", level=101))["error"]["data"]["name"] == "LimitExceeded"
        await socket.send_str("{")
        assert (await socket.receive_json(timeout=30))["error"]["code"] == -32700
        await socket.send_bytes(json.dumps({"jsonrpc": "2.0", "id": 5, "method": "session.info"}).encode())
        assert (await socket.receive_json(timeout=30))["result"]["way"] == "basic"
        batch = [{"jsonrpc": "2.0", "id": number, "method": "lamp.who_asks"} for number in (1, 2)]
        await socket.send_json(batch)
        assert [answer["id"] for answer in await socket.receive_json(timeout=30)] == [1, 2]
        assert (await ask(socket, "events.subscribe", topics=5))["error"]["code"] == -32602
        assert (await ask(socket, "events.subscribe", since="x"))["error"]["code"] == -32602


async def test_states_come_at_once_and_events_as_they_happen(house: House) -> None:
    house.lamp.publish(LampState(level=1))
    house.lamp.publish(Blinked(number=0))
    async with house.client("otto") as client, client.ws_connect("/ws") as socket:
        await ask(socket, "events.subscribe", topics=["Lamp", "urn:pytel:event:Blinked:1"])
        assert (await next_told(socket, "state"))["data"]["level"] == 1
        house.lamp.publish(Blinked(number=1))
        told = await next_told(socket, "event")
        assert (told["data"], told["publisher"], told["topic"]) == (
            {"number": 1},
            "lamp",
            "urn:pytel:event:Blinked:1",
        )
        assert told["cursor"] == house.gateway.news.cursor()
        await ask(socket, "events.unsubscribe")
        await until(lambda: house.gateway.news.readers == 0)
        house.lamp.publish(Blinked(number=2))
        await ask(socket, "events.subscribe", topics=["Blinked"])
        house.lamp.publish(Blinked(number=3))
        assert (await next_told(socket, "event"))["data"] == {"number": 3}


async def test_a_client_that_comes_back_gets_what_it_missed(house: House) -> None:
    async with house.client() as client:
        async with client.ws_connect("/ws") as socket:
            await ask(socket, "events.subscribe", topics=["Blinked"])
            house.lamp.publish(Blinked(number=1))
            cursor = (await next_told(socket, "event"))["cursor"]
        for number in (2, 3):
            house.lamp.publish(Blinked(number=number))
        async with client.ws_connect("/ws") as socket:
            assert (await ask(socket, "events.subscribe", topics=["Blinked"], since=cursor))["result"]["complete"]
            house.lamp.publish(Blinked(number=4))
            assert [(await next_told(socket, "event"))["data"]["number"] for _ in range(3)] == [2, 3, 4]
            foreign = (await ask(socket, "events.subscribe", topics=["Blinked"], since="other-5"))["result"]
            assert not foreign["complete"]
            assert (await next_told(socket, "event"))["data"]["number"] == 1


async def test_what_is_too_old_is_no_longer_there_and_that_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    cursor = house.gateway.news.cursor()
    monkeypatch.setattr(news, "KEPT", 5)
    for number in range(20):
        house.lamp.publish(Blinked(number=number))
    async with house.client() as client, client.ws_connect("/ws") as socket:
        answer = await ask(socket, "events.subscribe", topics=["Blinked"], since=cursor)
        assert not answer["result"]["complete"]
        assert (await next_told(socket, "event"))["data"]["number"] == 15


async def test_silence_is_broken_by_a_heartbeat(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "HEARTBEAT", 0.1)
    async with house.client() as client, client.ws_connect("/ws") as socket:
        assert set(await next_told(socket, "heartbeat")) == {"cursor", "time"}
        await ask(socket, "events.subscribe", topics=["Blinked"])
        assert await next_told(socket, "heartbeat")


async def test_a_message_that_is_too_large_ends_the_connection(house: House) -> None:
    async with house.client() as client, client.ws_connect("/ws") as socket:
        await socket.send_str(" " * ((1 << 20) + 1))
        message = await socket.receive(timeout=30)
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


class Deaf:
    """Upgrades to a WebSocket, subscribes, and reads nothing from then on."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.socket = sockets.socket()

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        self.socket.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        self.socket.setblocking(False)
        await loop.sock_connect(self.socket, ("127.0.0.1", int(self._house.url.rpartition(":")[2])))
        head = (
            "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            f"Authorization: {basic('otto', PASSWORDS['otto'])}\r\n\r\n"
        )
        await loop.sock_sendall(self.socket, head.encode())
        assert b"101" in await loop.sock_recv(self.socket, 4096)
        text = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "events.subscribe"}).encode()
        await loop.sock_sendall(self.socket, bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)

    async def read_all(self) -> bytes:
        """Read as much as there is."""
        read = b""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(2):
                while piece := await loop.sock_recv(self.socket, 1 << 20):
                    read += piece
        except TimeoutError:
            pass
        return read


async def fill(house: House, count: int) -> None:
    """Publish more than any buffer between here and a client holds."""
    for number in range(count):
        house.lamp.publish(Blinked(number=number))
        house.lamp.publish(LampState(level=number % 100, filling="x" * 20_000))
        await asyncio.sleep(0)


@pytest.mark.slow
async def test_who_does_not_read_is_resynchronised_when_he_does(house: House) -> None:
    deaf = Deaf(house)
    await deaf.connect()
    await until(lambda: house.gateway.news.readers == 1)
    async with house.client() as client, client.ws_connect("/ws") as socket:
        await ask(socket, "events.subscribe", topics=["Blinked"])
        filling = asyncio.create_task(fill(house, 1500))
        seen = [(await next_told(socket, "event"))["data"]["number"] for _ in range(1500)]
        await filling
        assert seen == list(range(1500))
    told = await deaf.read_all()
    assert told.count(b'"method":"events.dropped"') >= 1
    assert told.count(b'"method":"event"') < 1500
    assert b'"level":99' in told[told.rindex(b'"method":"events.dropped"') :]
    deaf.socket.close()


@pytest.mark.slow
async def test_who_never_reads_is_cut_off(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "STALLED", 0.5)
    deaf = Deaf(house)
    await deaf.connect()
    await until(lambda: house.gateway.news.readers == 1)
    await fill(house, 700)
    await until(lambda: house.gateway.news.readers == 0)
    deaf.socket.close()


async def test_the_same_as_server_sent_events(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT", 0.1)
    house.lamp.publish(LampState(level=1))
    async with house.client() as client:
        async with client.get("/events", params={"topics": "Lamp,Blinked"}) as response:
            assert response.headers["Content-Type"].startswith("text/event-stream")
            seen = await _until_line(response, b"event: state")
            assert b"event: begin" in seen[0]
            house.lamp.publish(Blinked(number=1))
            cursor = (await _until_line(response, b"id: "))[-1].removeprefix(b"id: ").strip().decode()
            await _until_line(response, b"event: heartbeat")
        await until(lambda: house.gateway.news.readers == 0)
        house.lamp.publish(Blinked(number=2))
        choices: list[dict[str, Any]] = [{"params": {"since": cursor}}, {"headers": {"Last-Event-ID": cursor}}]
        for options in choices:
            async with client.get("/events", **options) as response:
                data = (await _until_line(response, b'"number":'))[-1]
                assert b'"number":2' in data
        async with client.get("/events", params={"since": "nonsense"}) as response:
            assert response.status == 400


async def _until_line(response: aiohttp.ClientResponse, wanted: bytes) -> list[bytes]:
    lines: list[bytes] = []
    async with asyncio.timeout(30):
        while wanted not in (lines or [b""])[-1]:
            lines.append(await response.content.readline())
            assert lines[-1], "the stream has ended"
    return lines


async def test_the_gateway_stops_while_clients_read_along(house: House) -> None:
    client = house.client()
    socket = await client.ws_connect("/ws")
    await ask(socket, "events.subscribe")
    stream = await client.get("/events")
    await house.supervisor.stop_module("gateway")
    while (message := await socket.receive(timeout=30)).type is aiohttp.WSMsgType.TEXT:
        pass
    assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
    stream.close()
    await client.close()


async def test_what_is_published_waits_for_a_call_and_not_for_a_long_one_or_for_many(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = house.gateway.news
    readers = [told.read(frozenset({"Lamp"}), None) for _ in range(10)]

    def have() -> int:
        return sum(bool(reader._waiting) for reader in readers)

    def publish(level: int) -> None:
        for reader in readers:
            reader._waiting.clear()
        house.lamp.publish(LampState(level=level))

    monkeypatch.setattr(news, "CALLS_FIRST", 60.0)
    monkeypatch.setattr(news, "LATEST", 60.0)
    with told.calls_first():
        publish(1)
        await until(lambda: have() == news.AT_ONCE)
        for _ in range(100):
            await asyncio.sleep(0)
        assert have() == news.AT_ONCE
    await until(lambda: have() == len(readers))

    monkeypatch.setattr(news, "CALLS_FIRST", 0.01)
    with told.calls_first():
        publish(2)
        await until(lambda: have() == len(readers))

    monkeypatch.setattr(news, "CALLS_FIRST", 60.0)
    monkeypatch.setattr(news, "LATEST", 0.01)
    with told.calls_first():
        publish(3)
        await until(lambda: have() == len(readers))
    for reader in readers:
        told.leave(reader)
