"""Broken frames, chunks that are none, requests sent all at once, clients that stop halfway: the others are served."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from gateway.kit import PASSWORDS, House, basic, until
from gateway.test_guard import raw
from pytel.bus.http import listener

AUTHORIZATION = f"Authorization: {basic('otto', PASSWORDS['otto'])}\r\n".encode()
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n" + AUTHORIZATION + b"\r\n"
)
CHUNKED = (
    b"POST /rpc HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n" + AUTHORIZATION + b"\r\n"
)
MASK = b"\0\0\0\0"
ASK = b'{"jsonrpc": "2.0", "id": 1, "method": "session.info"}'


async def is_served(house: House) -> None:
    """Somebody else gets an answer."""
    answer = await raw(house, b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", seconds=5)
    assert answer.startswith(b"HTTP/1.1 200")


async def connected(house: House, first: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(house.url.rpartition(":")[2]))
    writer.write(first)
    return reader, writer


async def told_by_socket(house: House, frame: bytes) -> bytes:
    """What comes by a WebSocket after a frame, until the gateway closes."""
    reader, writer = await connected(house, UPGRADE)
    try:
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        writer.write(frame)
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionError):
                return await reader.read()
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    "frame",
    [
        b"\x81\x05hello",  # a client's frames are masked
        b"\xf1\x80" + MASK,  # bits that nobody has agreed on
        b"\x83\x80" + MASK,  # an opcode that does not exist
        b"\x80\x80" + MASK,  # goes on with nothing
        b"\x01\x81" + MASK + b"a\x81\x81" + MASK + b"b",  # a message within a message
        b"\x89\xfe\x00\x80" + MASK + b"x" * 128,  # a ping too long
        b"\x09\x81" + MASK + b"x",  # a ping in pieces
        b"\x81\x84" + MASK + b"\xff\xfe\xfd\xfc",  # text that is no UTF-8
        b"\x88\x81" + MASK + b"x",  # half a code to close with
        b"\x88\x82" + MASK + b"\x00\x01",  # a code that does not exist
        b"\x81\xff" + b"\xff" * 8 + MASK,  # longer than anything
        b"\x81\xff" + b"\x00" * 3 + b"\x01" + b"\x00" * 4 + MASK,  # 4 GiB announced
    ],
)
async def test_a_broken_frame_ends_its_connection_and_no_other(
    house: House, frame: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    good, good_writer = await connected(house, UPGRADE)
    await good.readuntil(b"\r\n\r\n")
    assert b"Traceback" not in await told_by_socket(house, frame)
    good_writer.write(bytes([0x81, 0x80 | len(ASK)]) + MASK + ASK)
    async with asyncio.timeout(20):
        assert b'"otto"' in await good.readuntil(b'"otto"')
    good_writer.close()
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


async def test_a_frame_that_never_ends_is_cut_off_with_its_connection(house: House) -> None:
    assert house.gateway._listener is not None
    config = house.gateway._listener._config
    config.ws_ping_interval = config.ws_ping_timeout = 0.2
    await told_by_socket(house, b"\x81\xfe\x10\x00" + MASK + b"{")
    await is_served(house)


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\n{}\r\n0\r\n\r\n",
        b"-5\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}}}\r\n0\r\n\r\n",
        b"ffffffffffffffffffff\r\n{}",
        b"2;" + b"x" * 100_000 + b"\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n",
        b"1\r\n{\r\n" * 3,
    ],
)
async def test_chunks_that_are_none(house: House, chunks: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytel.gateway.body.BODY_TIME", 0.3)
    monkeypatch.setattr(listener, "HEAD_TIMEOUT", 0.3)
    for head in (CHUNKED, CHUNKED.replace(b"Host", b"Content-Length: 2\r\nHost")):
        answer = await raw(house, head + chunks)
        assert b"Traceback" not in answer
        assert not answer or answer.split(b" ", 2)[1] in (b"200", b"400", b"408", b"413"), answer[:200]
    await is_served(house)


async def test_requests_sent_all_at_once_are_answered_in_their_order(house: House) -> None:
    def request(number: int) -> bytes:
        body = json.dumps({"jsonrpc": "2.0", "id": number, "method": "session.info"}).encode()
        close = b"Connection: close\r\n" if number == 99 else b""
        head = b"POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        return head + close + AUTHORIZATION + b"Content-Length: %d\r\n\r\n" % len(body) + body

    answer = await raw(house, b"".join(map(request, range(100))))
    bodies = [part.partition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert [json.loads(body)["id"] for body in bodies] == list(range(100))


@pytest.mark.slow
async def test_while_a_hundred_stop_halfway_others_are_served(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "HEAD_TIMEOUT", 1.0)
    monkeypatch.setattr("pytel.gateway.body.BODY_TIME", 1.0)
    halves = (b"GET /health HTTP/1.1\r\nHost: loc", CHUNKED + b"10\r\n{", b"")
    slow = [await connected(house, halves[number % 3]) for number in range(99)]
    await is_served(house)
    for reader, writer in slow:
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                await reader.read()
        writer.close()
    assert house.gateway._listener is not None
    connections = house.gateway._listener._state.connections
    await until(lambda: not connections)
