"""Whatever is sent, the gateway answers: no 500, no traceback, no hang."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.kit import PASSWORDS, House, basic

PATIENCE = 20.0
METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "BREW"]
PATHS = ["/rpc", "/ws", "/events", "/state", "/session", "/health", "/images/x", "/", "//", "/.."]
NAMES = [
    "lamp.say",
    "lamp.set_level",
    "lamp.x",
    "rpc.discover",
    "session.info",
    "lamp.job.wait",
    "modules.list",
    "a.b.c",
]
texts = st.text(max_size=20)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
requests = st.fixed_dictionaries(
    {"jsonrpc": st.sampled_from(["2.0", "1.0", 2]), "method": st.sampled_from(NAMES) | texts | json_values},
    optional={"params": json_values, "id": json_values, "pytel": json_values},
)
messages = requests | st.lists(requests | json_values, max_size=4) | json_values
bodies = st.binary(max_size=60) | messages.map(lambda value: json.dumps(value).encode())
headers = st.dictionaries(
    st.sampled_from(
        ["Content-Type", "Origin", "Authorization", "Cookie", "Content-Encoding", "Last-Event-ID", "Range", "Upgrade"]
    ),
    st.sampled_from(["application/json", "null", "identity", "gzip", "websocket", "bytes=0-", "Basic eDp5", "Bearer x"])
    | st.text(st.characters(min_codepoint=32, max_codepoint=255, blacklist_characters="\x7f"), max_size=20),
    max_size=4,
)
some = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


def exchange(port: int, method: str, path: str, body: bytes, given_headers: dict[str, str]) -> tuple[int, bytes]:
    """One request by Python's own client."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        sent = {"Authorization": basic("anna", PASSWORDS["anna"]), "Content-Type": "application/json", **given_headers}
        connection.request(method, path, body, {name: value.strip() for name, value in sent.items()})
        response = connection.getresponse()
        stream = response.headers.get_content_type() == "text/event-stream"
        return response.status, b"" if stream else response.read()
    finally:
        connection.close()


def check(status: int, body: bytes) -> None:
    assert status < 500, (status, body)
    assert b"Traceback" not in body
    assert b'File "' not in body


async def in_the_background(house: House, fuzz: Callable[[int], None]) -> None:
    """Run a blocking test against the gateway that this loop serves."""
    async with asyncio.timeout(110):
        await asyncio.to_thread(fuzz, int(house.url.rpartition(":")[2]))
    assert house.gateway._runtime.lifecycle.healthy


@pytest.mark.slow
async def test_json_rpc(house: House) -> None:
    def fuzz(port: int) -> None:
        @given(bodies)
        @some
        def one(body: bytes) -> None:
            status, answer = exchange(port, "POST", "/rpc", body, {})
            check(status, answer)
            assert status in (200, 204)
            for part in json.loads(answer) if answer.startswith(b"[") else [json.loads(answer)] if answer else []:
                assert part["jsonrpc"] == "2.0"
                assert ("result" in part) != ("error" in part)
                assert "id" in part

        one()

    await in_the_background(house, fuzz)


@pytest.mark.slow
async def test_http(house: House) -> None:
    def fuzz(port: int) -> None:
        paths = st.builds(
            lambda base, more, query: base + quote(more) + ("?" + quote(query, safe="=&") if query else ""),
            st.sampled_from(PATHS),
            texts,
            texts | st.sampled_from(["since=5", "since=x-1", "topics=Lamp", "module=%00"]),
        )

        @given(st.sampled_from(METHODS), paths, bodies, headers)
        @some
        def one(method: str, path: str, body: bytes, given_headers: dict[str, str]) -> None:
            check(*exchange(port, method, path, body, given_headers))

        one()

    await in_the_background(house, fuzz)


@pytest.mark.slow
async def test_bytes(house: House) -> None:
    def fuzz(port: int) -> None:
        lines = st.sampled_from([b"GET /state HTTP/1.1\r\n", b"POST /rpc HTTP/1.1\r\n", b"GET /ws HTTP/1.1\r\n", b""])
        heads = st.sampled_from(
            [
                b"Host: localhost\r\n",
                b"Content-Length: 5\r\n",
                b"Content-Length: -1\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"Expect: 100-continue\r\n",
                b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
                f"Authorization: {basic('anna', PASSWORDS['anna'])}\r\n".encode(),
            ]
        )

        @given(lines, st.lists(heads | st.binary(max_size=20), max_size=6), st.binary(max_size=40))
        @some
        def one(line: bytes, given_heads: list[bytes], rest: bytes) -> None:
            with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
                connection.sendall(line + b"".join(given_heads) + b"\r\n" + rest)
                connection.shutdown(socket.SHUT_WR)
                answer = b""
                try:
                    while piece := connection.recv(65536):
                        answer += piece
                except ConnectionError:
                    return
                assert b"Traceback" not in answer
                assert not answer.startswith(b"HTTP/1.1 5"), answer

        one()

    await in_the_background(house, fuzz)
