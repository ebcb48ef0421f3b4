"""What holds for every request: hosts, origins, headers, sizes, slow clients, TLS."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from gateway.kit import PASSWORDS, House, OwnGateway, _connector, basic, rpc_call
from gateway.kit import house as open_house
from pytel.base.errors import ConfigError, Conflict
from pytel.base.threads import in_thread
from pytel.bus.http import listener
from pytel.gateway import body as body_module
from pytel.gateway import entrance
from pytel.module.local_supervisor import LocalSupervisor
from pytel.module.sitefile import parse_site
from pytel.servers.certificates import ensure_certificates

JSON = {"Content-Type": "application/json"}


async def raw(house: House, request: bytes, *, seconds: float = 10.0) -> bytes:
    """Send bytes and return all that comes until the gateway closes."""
    port = int(house.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(seconds):
            with contextlib.suppress(ConnectionError):
                return await reader.read()
        return b""
    finally:
        writer.close()


async def test_every_answer_has_the_headers(house: House) -> None:
    async with house.client() as client:
        for path in ("/health", "/state", "/nowhere"):
            async with client.get(path) as response:
                policy = response.headers["Content-Security-Policy"]
                assert "default-src 'self'" in policy
                assert "frame-ancestors 'none'" in policy
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Referrer-Policy"] == "same-origin"
                assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
                assert response.headers["Cache-Control"] == "no-store"
                assert "Access-Control-Allow-Origin" not in response.headers
                assert "Server" not in response.headers


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": "OWN"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "OWN.evil.example"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Host": "evil.example"}, False),
        ({"Host": "localhost:1"}, True),
    ],
)
async def test_pages_of_other_sites_may_do_nothing(house: House, headers: dict[str, str], allowed: bool) -> None:
    headers = {name: value.replace("OWN", house.url) for name, value in headers.items()}
    async with house.client() as client:
        async with client.post("/rpc", data=b"{}", headers={**JSON, **headers}) as response:
            assert (response.status == 200) is allowed, response.status
        with contextlib.nullcontext() if allowed else pytest.raises(aiohttp.WSServerHandshakeError, match=r"403|421"):
            await (await client.ws_connect("/ws", headers=headers)).close()


async def test_sites_that_are_named_may(tmp_path: Path) -> None:
    more = ", origins: ['https://console.example'], hosts: [console.example]"
    async with open_house(tmp_path, more=more) as house, house.client() as client:
        headers = {**JSON, "Origin": "https://console.example", "Host": "console.example"}
        async with client.post("/rpc", data=b"{}", headers=headers) as response:
            assert response.status == 200
        async with client.get("/health") as response:
            assert response.status == 421


async def test_large_bodies_are_refused_whether_or_not_they_say_so(house: House) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65536

    async with house.client() as client:
        async with client.post("/rpc", data=io.BytesIO(b" " * (1 << 20)), headers=JSON) as response:
            assert response.status == 200
        for data in (io.BytesIO(b" " * ((1 << 20) + 1)), pieces()):
            with contextlib.suppress(aiohttp.ClientError):  # the door may slam before all is said
                async with client.post("/rpc", data=data, headers=JSON) as response:
                    assert response.status == 413
        async with client.post("/session", data=b" " * 5000, headers=JSON) as response:
            assert response.status == 413
        assert "result" in await rpc_call(client, "lamp.who_asks")


async def test_a_head_without_end_and_one_that_never_comes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await raw(house, b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000) == b""
    many = b"".join(b"X-%d: y\r\n" % number for number in range(20_000))
    assert await raw(house, b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + many) == b""
    monkeypatch.setattr(listener, "HEAD_TIMEOUT", 0.2)
    assert await raw(house, b"") == b""
    assert await raw(house, b"GET /health HTTP/1.1\r\nHost: loc") == b""


async def test_a_body_that_never_comes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "BODY_TIME", 0.2)
    head = (
        "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
        f"Authorization: {basic('anna', PASSWORDS['anna'])}\r\n\r\n"
    )
    assert (await raw(house, head.encode() + b"{")).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /../../../etc/passwd HTTP/1.1",
        b"GET //etc/passwd HTTP/1.1",
        b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1",
        b"GET /images/%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1",
        b"GET /images/..%5c..%5cetc HTTP/1.1",
        b"GET /%00 HTTP/1.1",
        b"GET /%ff%fe HTTP/1.1",
        b"GET http://evil.example/health HTTP/1.1",
        b"CONNECT evil.example:80 HTTP/1.1",
        b"TRACE / HTTP/1.1",
        b"BREW / HTTP/1.1",
        b"GET / HTTP/9.9",
        b"\x16\x03\x01\x02\x00\x01",
        b"\x00" * 100,
    ],
)
async def test_hostile_requests(house: House, request_line: bytes) -> None:
    head = request_line + b"\r\nHost: localhost\r\nConnection: close\r\n"
    head += f"Authorization: {basic('anna', PASSWORDS['anna'])}\r\n\r\n".encode()
    answer = await raw(house, head)
    assert b"root:" not in answer
    assert b"Traceback" not in answer
    assert not answer or answer.split(b" ", 2)[1] in (b"200", b"400", b"404", b"405"), answer[:200]


@pytest.mark.parametrize(
    ("request_line", "status"), [(b"PUT /rpc HTTP/1.1", 405), (b"DELETE /images/x HTTP/1.1", 405), (b"no HTTP", 400)]
)
async def test_what_is_refused_is_told_as_json_with_its_status(house: House, request_line: bytes, status: int) -> None:
    head, _, body = (await raw(house, request_line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")).partition(
        b"\r\n\r\n"
    )
    assert head.split(b" ", 2)[1] == str(status).encode()
    assert b"application/json" in head
    assert json.loads(body)["error"]["status"] == status
    assert (b"allow:" in head.lower()) == (status == 405)


async def test_two_hosts_or_none_are_refused(house: House) -> None:
    for hosts in (b"", b"Host: localhost\r\nHost: evil.example\r\n"):
        answer = await raw(house, b"GET /health HTTP/1.1\r\nConnection: close\r\n" + hosts + b"\r\n")
        assert answer.startswith((b"HTTP/1.1 421", b"HTTP/1.1 400"))


@pytest.mark.slow
async def test_who_asks_and_asks_and_never_reads_is_cut_off(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "STALLED", 0.5)
    body = b'{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}'
    head = (
        "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nAuthorization: {basic('anna', PASSWORDS['anna'])}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", int(house.url.rpartition(":")[2]), limit=1)
    async with asyncio.timeout(30):
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write((head.encode() + body) * 20)
                await writer.drain()
                await asyncio.sleep(0.01)
    async with house.client() as client:
        assert "result" in await rpc_call(client, "lamp.who_asks")
    writer.close()
    assert reader is not None


async def test_one_person_has_so_many_requests_under_way_and_others_theirs(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entrance, "MOST_AT_ONCE", 5)

    async def wait(client: aiohttp.ClientSession, job: str) -> int:
        request = {"jsonrpc": "2.0", "id": 1, "method": "lamp.job.wait", "params": [job, 20]}
        async with client.post("/rpc", json=request) as response:
            return response.status

    async with house.client("anna") as anna, house.client("otto") as otto:
        job = (await rpc_call(anna, "lamp.warm_up", [1.0]))["result"]["job"]
        waits = [asyncio.create_task(wait(anna, job)) for _ in range(12)]
        assert await wait(otto, job) == 200
        statuses = await asyncio.gather(*waits)
        assert sorted(statuses) == [200] * 5 + [429] * 7
        assert await wait(anna, job) == 200


async def test_beyond_this_host_it_wants_tls(tmp_path: Path) -> None:
    for listen, more, fault in [
        ("0.0.0.0:0", "", "beyond this host"),
        ("127.0.0.1", "", "no place to listen"),
        ("127.0.0.1:0", ", certificate: x.pem", "together"),
        ("127.0.0.1:0", ", certificate: x.pem, key: y.pem", "cannot be used"),
    ]:
        text = (
            "site: {name: here, latitude: 1, longitude: 2}\n"
            f"modules: {{gateway: {{type: '{OwnGateway.__module__}:OwnGateway', listen: '{listen}'{more}}}}}\n"
        )
        site, _ = await in_thread(parse_site, text, directory=tmp_path)
        assert site is not None
        supervisor = LocalSupervisor(site)
        await supervisor.start(["nothing"])
        with pytest.raises(ConfigError, match=fault):
            await supervisor.start_module("gateway")
        await supervisor.stop()


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    async with open_house(tmp_path / "one") as one:
        port = one.url.rpartition(":")[2]
        text = (
            "site: {name: here, latitude: 1, longitude: 2}\n"
            f"modules: {{gateway: {{type: '{OwnGateway.__module__}:OwnGateway', listen: '127.0.0.1:{port}'}}}}\n"
        )
        for more in (text, text.replace(f"{port}'", f"{port}', next_free: true")):
            site, _ = await in_thread(parse_site, more, directory=tmp_path)
            assert site is not None
            supervisor = LocalSupervisor(site)
            await supervisor.start()
            gateway = next(iter(supervisor.running.values())).module
            assert isinstance(gateway, OwnGateway)
            if "next_free" in more:
                assert gateway.url is not None
                assert int(gateway.url.rpartition(":")[2]) > int(port)
            else:
                assert Conflict.__name__ in gateway._runtime.lifecycle.explanation
            await supervisor.stop()


async def test_behind_a_proxy_the_callers_address_is_told_and_cookies_ask_for_tls(tmp_path: Path) -> None:
    more = ", behind_proxy: true"
    async with open_house(tmp_path, more=more) as house, house.client(None) as client:
        headers = {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https", "Host": "observatory.example"}
        log_in = {"name": "anna", "password": PASSWORDS["anna"]}
        origin = {**headers, "Origin": "https://observatory.example"}
        async with client.post("/session", json=log_in, headers=origin) as response:
            assert response.status == 200
            assert response.headers["Set-Cookie"].startswith("__Host-pytel=")
            assert "Secure" in response.headers["Set-Cookie"]
            assert "Strict-Transport-Security" in response.headers
        record = await house.until_audited(bool)
        assert record[0]["address"] == "203.0.113.5"


async def test_nobody_forges_his_address_without_a_proxy(house: House) -> None:
    headers = {"X-Forwarded-For": "203.0.113.5", "Authorization": basic("anna", "wrong")}
    async with house.client(None) as client, client.get("/session", headers=headers) as response:
        assert response.status == 401
    assert (await house.until_audited(bool))[0]["address"] == "127.0.0.1"


async def test_with_a_certificate_it_speaks_tls(tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    await in_thread(ensure_certificates, tmp_path, "localhost", authority)
    context = await in_thread(ssl.create_default_context, ssl.Purpose.SERVER_AUTH, cafile=str(authority))
    more = f", certificate: {tmp_path}/server.crt, key: {tmp_path}/server.key"
    async with open_house(tmp_path, more=more) as house:
        url = house.url.replace("127.0.0.1", "localhost")
        assert url.startswith("https://")
        headers = {"Authorization": basic("anna", PASSWORDS["anna"]), "Origin": url}
        connector = aiohttp.TCPConnector(ssl=context, resolver=aiohttp.ThreadedResolver())
        async with aiohttp.ClientSession(url, headers=headers, connector=connector) as client:
            assert (await rpc_call(client, "lamp.who_asks"))["result"] == "gateway/anna observer"
            async with client.ws_connect("/ws") as socket:
                await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "session.info"})
                assert (await socket.receive_json(timeout=30))["result"]["name"] == "anna"
            async with client.post("/session", json={"name": "anna", "password": PASSWORDS["anna"]}) as response:
                assert response.headers["Set-Cookie"].startswith("__Host-pytel=")
                assert "Strict-Transport-Security" in response.headers
        port = url.rpartition(":")[2]
        async with aiohttp.ClientSession(connector=_connector()) as plain:
            with pytest.raises(aiohttp.ClientError):
                await plain.get(f"http://localhost:{port}/health")
