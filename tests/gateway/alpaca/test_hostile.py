"""Whatever is sent, the Alpaca server answers: no 500, no traceback, no hang, no more memory than a form needs."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.alpaca.kit import DEVICES, AlpacaSite
from pytel.gateway.alpaca.server import KINDS

PATIENCE = 20.0
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
SLOW = {"slewtocoordinates", "slewtoaltaz", "slewtotarget"}
"""What answers after a slew."""
some = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
texts = st.text(max_size=20)
values = (
    st.sampled_from(["0", "1", "-1", "True", "false", "NaN", "inf", "-0", "1e308", "1e999", "2147483648", "0x10", "１"])
    | st.floats().map(str)
    | st.integers().map(str)
    | texts
)
members = st.sampled_from(
    [
        (verb, f"/api/v1/{kind}/0/{name}", tuple(member.parameters))
        for kind in DEVICES
        for (verb, name), member in KINDS[kind].members.items()
        if name not in SLOW
    ]
)
common = st.dictionaries(st.sampled_from(["ClientID", "clientid", "ClientTransactionID"]), values, max_size=2)


def exchange(port: int, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def check(status: int, body: bytes) -> None:
    assert status < 500, (status, body)
    assert b"Traceback" not in body
    assert b'File "' not in body
    if status == 200 and body.startswith(b"{"):
        number = json.loads(body)["ErrorNumber"]
        assert number == 0 or 0x400 <= number <= 0xFFF
        assert b"by a fault" not in body
        assert b"InternalError" not in body, body


async def in_the_background(site: AlpacaSite, fuzz: Callable[[int], None]) -> None:
    async with asyncio.timeout(110):
        await asyncio.to_thread(fuzz, site.port)
    assert site.gateway._runtime.lifecycle.healthy
    assert (await site.get("telescope/0/name")).value == "telescope"


def connect(port: int) -> None:
    for kind in DEVICES:
        body = urlencode({"Connected": "True"}).encode()
        assert exchange(port, "PUT", f"/api/v1/{kind}/0/connected", body, FORM)[0] == 200


@pytest.mark.slow
async def test_members(site: AlpacaSite, caplog: pytest.LogCaptureFixture) -> None:
    def fuzz(port: int) -> None:
        connect(port)

        @given(members, st.data(), common)
        @some
        def one(member: tuple[str, str, tuple[str, ...]], data: st.DataObject, more: dict[str, str]) -> None:
            verb, path, names = member
            form = {**{name: data.draw(values) for name in names}, **more}
            if path.endswith(("/connected", "/disconnect")):
                return
            text = urlencode({key: value.encode("utf-8", "surrogatepass") for key, value in form.items()})
            if verb == "GET":
                status, body = exchange(port, "GET", f"{path}?{text}", b"", {})
            else:
                status, body = exchange(port, "PUT", path, text.encode(), FORM)
            check(status, body)
            assert status in (200, 400)

        one()

    await in_the_background(site, fuzz)
    assert not [record for record in caplog.records if "by a fault in the Alpaca server" in record.message]


@pytest.mark.slow
async def test_paths_and_bodies(site: AlpacaSite) -> None:
    def fuzz(port: int) -> None:
        paths = st.builds(
            lambda base, more, query: base + quote(more) + ("?" + quote(query, safe="=&%") if query else ""),
            st.sampled_from(
                [
                    "/api/v1/telescope/0/",
                    "/api/v1/",
                    "/management/",
                    "/setup",
                    "/",
                    "//",
                    "/..",
                    "/api/v1/dome/0/slewing",
                ]
            ),
            texts,
            texts | st.sampled_from(["ClientID=%00", "ClientID=%FF", "a=1&" * 60, "=&=&=", "ClientTransactionID=١"]),
        )
        headers = st.dictionaries(
            st.sampled_from(["Content-Type", "Accept", "Content-Encoding", "Expect", "Range", "Upgrade", "Cookie"]),
            st.sampled_from(
                ["application/json", "application/imagebytes", "gzip", "text/plain; charset=x", "websocket"]
            )
            | st.text(st.characters(min_codepoint=32, max_codepoint=255, blacklist_characters="\x7f"), max_size=20),
            max_size=3,
        )
        verbs = st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "BREW"])

        @given(verbs, paths, st.binary(max_size=80), headers)
        @some
        def one(verb: str, path: str, body: bytes, given_headers: dict[str, str]) -> None:
            sent = {name: value.strip() for name, value in given_headers.items()}
            check(*exchange(port, verb, path, body, sent))

        one()

    await in_the_background(site, fuzz)


@pytest.mark.slow
async def test_bytes(site: AlpacaSite) -> None:
    def fuzz(port: int) -> None:
        lines = st.sampled_from(
            [b"GET /api/v1/dome/0/name HTTP/1.1\r\n", b"PUT /api/v1/dome/0/connect HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n"]
        )
        heads = st.sampled_from(
            [
                b"Host: localhost\r\n",
                b"Content-Length: 5\r\n",
                b"Content-Length: -1\r\n",
                b"Transfer-Encoding: chunked\r\n",
                b"Expect: 100-continue\r\n",
                b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
                b"Content-Type: application/x-www-form-urlencoded\r\n",
            ]
        )

        @given(lines, st.lists(heads | st.binary(max_size=20), max_size=6), st.binary(max_size=40))
        @settings(some, max_examples=200)
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

    await in_the_background(site, fuzz)


async def test_a_body_has_an_end(site: AlpacaSite) -> None:
    await site.connect("telescope")
    path = "/api/v1/telescope/0/connected"
    large = await site.ask("PUT", path, data="Connected=True&x=" + "y" * (1 << 20), headers=FORM)
    assert (large.status, large.kind.partition(";")[0]) == (413, "text/plain")
    many = await site.ask("PUT", path, data="&".join(f"a{number}=1" for number in range(100)), headers=FORM)
    assert many.status == 400
    wrong = await site.ask("PUT", path, json={"Connected": True})
    assert wrong.status == 400
    long = await site.ask("PUT", "/api/v1/telescope/0/action", data={"Action": "x" * 2000, "Parameters": ""})
    assert long.status == 400


async def test_clients_are_forgotten_before_there_are_too_many(site: AlpacaSite) -> None:
    for number in range(2, 120):
        assert (await site.put("focuser/0/connect", ClientID=number)).error == 0
    assert (await site.get("focuser/0/connected", ClientID=2)).value is False
    assert (await site.get("focuser/0/connected", ClientID=119)).value is True
