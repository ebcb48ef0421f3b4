"""Who gets in, and what hostile clients are told."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

import pytel.bus.http.app as app
import pytel.bus.http.listener as listener
from bus.cast import EchoModule
from bus.harness import Endpoint, event, publish, state, until
from bus.http.http_kit import PASSWORDS, TOKEN, HttpSite, basic, curl
from pytel.bus import attempts, passwords
from pytel.bus.http import credentials
from pytel.bus.http.accounts import member_account
from pytel.bus.http.credentials import Signer

ASK = b'{"jsonrpc": "2.0", "id": 1, "method": "whoami"}'


@pytest.mark.parametrize("name", sorted(PASSWORDS))
async def test_people_log_in_with_their_password(http_site: HttpSite, name: str) -> None:
    await http_site.start(EchoModule, "echo")
    async with curl(http_site, "echo", name) as echo:
        assert (await echo.result("whoami")).startswith(f"{name} as ")


@pytest.mark.parametrize("how", ["Bearer {}", "bearer {}"])
async def test_scripts_log_in_with_a_token(http_site: HttpSite, how: str) -> None:
    await http_site.start(EchoModule, "echo")
    async with curl(http_site, "echo", None) as echo:
        status, body = await echo.post(ASK, Authorization=how.format(TOKEN))
        assert json.loads(body)["result"] == "otto as observer"
        status, body = await echo.post(ASK, Authorization=basic("otto", TOKEN))
        assert json.loads(body)["result"] == "otto as observer"
        status, _ = await echo.post(ASK, Authorization=basic("olga", TOKEN))
        assert status == 401


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ===",
        "Basic b3R0bw==",
        basic("otto", "wrong"),
        basic("otto", ""),
        basic("nobody", PASSWORDS["otto"]),
        basic("", ""),
        basic("echo", "nobody"),
        "Bearer",
        "Bearer wrong",
        "Bearer ~~~",
        "Bearer echo~echo~99999999999~00",
        "Bearer echo~echo~x~00",
        "Bearer otto~echo~99999999999~00",
        "Digest username=otto",
        "\xe4\xf6\xfc",
    ],
)
@pytest.mark.parametrize("path", ["/rpc", "/events", "/state", "/card"])
async def test_nobody_else_gets_in(http_site: HttpSite, header: str, path: str) -> None:
    await http_site.start(EchoModule, "echo")
    async with curl(http_site, "echo", None) as echo:
        headers = {"Authorization": header} if header else {}
        if path == "/rpc":
            status, body = await echo.post(ASK, **headers)
            answer = json.loads(body)
        else:
            status, answer = await echo.get(path, **headers)
        assert (status, answer["error"]["code"]) == (401, -32006)
        assert (await echo.get("/health"))[0] == 200


async def test_a_person_with_the_name_of_a_module_stays_outside(http_site: HttpSite) -> None:
    await http_site.start(EchoModule, "echo")
    http_site.accounts.add("otto", member_account())
    async with curl(http_site, "echo", "otto") as otto:
        assert (await otto.post(ASK))[0] == 401
        assert (await otto.post(ASK, Authorization=f"Bearer {TOKEN}"))[0] == 401


async def test_a_modules_token_is_good_for_one_callee_and_a_minute(
    http_site: HttpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    await http_site.member("callee", Endpoint(lambda call: call.caller.address))
    await http_site.member("caller")
    signer = Signer("caller", http_site.accounts.secret_of("caller"))
    async with curl(http_site, "callee", None) as callee:
        good = signer.authorization("callee")
        assert good == signer.authorization("callee")
        assert json.loads((await callee.post(ASK, Authorization=good))[1])["result"] == "caller"
        for wrong in (
            signer.authorization("other"),
            good[:-1] + ("0" if good[-1] != "0" else "1"),
            Signer("caller", "guessed").authorization("callee"),
            signer.authorization("callee", offset=-credentials.TOKEN_LIFE - credentials.TOLERANCE - 1),
            signer.authorization("callee", offset=3600),
        ):
            assert (await callee.post(ASK, Authorization=wrong))[0] == 401


async def test_what_shows_a_caller_who_answers_shows_nobody_else(http_site: HttpSite) -> None:
    await http_site.member("callee")
    secret = http_site.accounts.secret_of("callee")
    async with curl(http_site, "callee", "vera") as vera, vera.events(**{"Pytel-Nonce": "n"}) as stream:
        shown = json.loads((await stream.next()).data)["proof"]
    assert shown == credentials.proof(secret, "vera", "n")
    assert shown != credentials.proof(secret, "caller", "n")


async def test_a_right_password_is_hashed_once_a_wrong_one_and_nobodys_each_time(
    http_site: HttpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    verify = passwords.is_right

    def counted(known: str | None, password: str) -> bool:
        hashed.append(password)
        return verify(known, password)

    monkeypatch.setattr(passwords, "is_right", counted)
    await http_site.start(EchoModule, "echo")
    async with curl(http_site, "echo", None) as echo:
        for name, password in [("otto", PASSWORDS["otto"]), ("otto", "wrong"), ("nobody", "guess")] * 3:
            await echo.post(ASK, Authorization=basic(name, password))
    assert sorted(hashed) == sorted([PASSWORDS["otto"], *["wrong"] * 3, *["guess"] * 3])


async def test_too_many_log_ins_at_once_are_put_off_and_others_go_on(
    http_site: HttpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("ADDRESS_FAILURES", "NAME_FAILURES"):  # as from as many addresses, by as many names
        monkeypatch.setattr(attempts, limit, (100, 3.0))
    await http_site.start(EchoModule, "echo")
    async with curl(http_site, "echo", None) as echo, curl(http_site, "echo", "otto") as otto:
        await otto.result("whoami")
        guesses = [
            asyncio.create_task(echo.post(ASK, Authorization=basic("olga", str(number)))) for number in range(60)
        ]
        assert await otto.result("whoami") == "otto as observer"
        statuses = [status for status, _ in await asyncio.gather(*guesses)]
        assert set(statuses) == {401, 503}
        assert await otto.result("whoami") == "otto as observer"


async def test_who_is_wrong_too_often_has_to_wait(http_site: HttpSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "monotonic", lambda: 1000.0)
    await http_site.start(EchoModule, "echo")
    async with curl(http_site, "echo", None) as echo, curl(http_site, "echo", "otto") as otto:
        await otto.result("whoami")
        most = attempts.ADDRESS_FAILURES[0]
        tried = await asyncio.gather(
            *(echo.post(ASK, Authorization=basic("olga", str(number))) for number in range(most + 10))
        )
        assert sorted(status for status, _ in tried) == [401] * most + [429] * 10
        for shown in (basic("vera", PASSWORDS["vera"]), "Bearer pytel_guess"):
            async with echo.session.get(f"{echo.url}/state", headers={"Authorization": shown}) as response:
                assert response.status == 429
                assert int(response.headers["Retry-After"]) > 0
                assert (await response.json())["error"]["data"]["name"] == "TooManyAttempts"
        assert await otto.result("whoami") == "otto as observer"  # who was right before needs no attempt
        status, _ = await echo.post(ASK, Authorization=f"Bearer {TOKEN}")
        assert status == 200  # nor does a token that is known


async def test_a_web_page_cannot_post_a_form(http_site: HttpSite) -> None:
    await http_site.start(EchoModule, "echo")
    async with curl(http_site, "echo") as echo:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "", "application/jsonp"):
            status, body = await echo.post(ASK, **{"Content-Type": kind})
            assert status == 415
            assert json.loads(body)["error"]["code"] == -32600
        assert (await echo.post(ASK, **{"Content-Type": "application/json; charset=utf-8"}))[0] == 200


@pytest.mark.parametrize("path", ["/", "/rpc/", "/../etc/passwd", "/events/..%2f..%2fetc", "/%2e%2e/%00", "//rpc"])
async def test_there_are_no_files(http_site: HttpSite, path: str) -> None:
    await http_site.start(EchoModule, "echo")
    answer = await raw(http_site, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert answer.split(b" ")[1] in (b"404", b"405", b"307")
    assert b"root:" not in answer


async def test_the_wrong_method_of_http(http_site: HttpSite) -> None:
    await http_site.start(EchoModule, "echo")
    async with curl(http_site, "echo") as echo:
        assert (await echo.get("/rpc"))[0] == 405
        async with echo.session.put(f"{echo.url}/state", data=b"x") as response:
            assert response.status == 405
            assert response.headers["Allow"] == "GET, HEAD" or response.headers["Allow"] == "HEAD, GET"


async def raw(http_site: HttpSite, request: bytes, pieces: int = 1, pause: float = 0.0) -> bytes:
    """Send bytes and read what comes until the other side closes."""
    port = next(iter(http_site.lines.values())).far.number
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        step = max(1, -(-len(request) // pieces))
        for begin in range(0, max(1, len(request)), step):
            writer.write(request[begin : begin + step])
            await asyncio.sleep(pause)
        async with asyncio.timeout(30):
            return await reader.read()
    except ConnectionError:
        return b"reset"
    finally:
        writer.close()


def post(body: bytes, *headers: str, length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    lines = ["POST /rpc HTTP/1.1", "Host: x", f"Authorization: {basic('otto', PASSWORDS['otto'])}", *headers]
    lines += ["Content-Type: application/json", "Connection: close"]
    if length >= 0:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def test_a_body_that_is_too_long_is_refused(http_site: HttpSite) -> None:
    await http_site.start(EchoModule, "echo")
    declared = await raw(http_site, post(b"", length=app.MAX_BODY + 1))
    assert b"413" in declared.split(b"\r\n")[0]
    assert b"LimitExceeded" in declared
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    endless = await raw(http_site, post(chunk * 20, "Transfer-Encoding: chunked", length=-1))
    assert endless == b"reset" or b"413" in endless.split(b"\r\n")[0]
    absurd = await raw(http_site, post(b"{}", length=10**17))
    assert b"413" in absurd.split(b"\r\n")[0] or b"400" in absurd.split(b"\r\n")[0]


@pytest.mark.slow
async def test_slow_clients_are_sent_away(http_site: HttpSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "HEAD_TIMEOUT", 0.3)
    monkeypatch.setattr(app, "BODY_TIMEOUT", 0.3)
    await http_site.start(EchoModule, "echo")
    assert await raw(http_site, b"", pause=0.5) in (b"", b"reset")
    assert await raw(http_site, post(ASK)[:100], pieces=20, pause=0.1) in (b"", b"reset")
    assert b"400" in (await raw(http_site, post(ASK[:-1], length=len(ASK)))).split(b"\r\n")[0]
    assert b"200" in (await raw(http_site, post(ASK))).split(b"\r\n")[0]


async def test_an_endless_head_is_cut_off(http_site: HttpSite) -> None:
    await http_site.start(EchoModule, "echo")
    head = b"GET /health HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 100) for n in range(5000))
    assert await raw(http_site, head, pieces=50, pause=0.001) in (b"", b"reset")


@pytest.mark.parametrize("line", [b"\x00\xff", b"GET", b"GET /\xff HTTP/1.1\r\n\r\n", b"POST rpc HTTP/9\r\n\r\n"])
async def test_what_is_no_http_is_refused(http_site: HttpSite, line: bytes) -> None:
    await http_site.start(EchoModule, "echo")
    answer = await raw(http_site, line + b"\r\n\r\n\r\n")
    assert answer == b"reset" or answer.split(b" ")[1][:1] == b"4"
    assert b"Traceback" not in answer


async def test_a_reader_of_events_that_does_not_read_is_cut_off(
    http_site: HttpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "WRITE_TIMEOUT", 0.3)
    sender = await http_site.member("sender")
    bus = http_site.bus_of("sender")
    port = http_site.lines[sender.address].far.number
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1000)
    login = basic("otto", PASSWORDS["otto"])
    writer.write(f"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: {login}\r\n\r\n".encode())
    await until(lambda: bus.outbox.number_of_readers == 1)
    for number in range(200):
        publish(sender, event(), {"number": number, "ballast": "x" * 100_000})
        await asyncio.sleep(0)
    await until(lambda: bus.outbox.number_of_readers == 0)
    writer.close()
    assert reader is not None


async def test_state_card_and_health(http_site: HttpSite) -> None:
    sender = await http_site.member("sender")
    publish(sender, state("B"), {"b": 1})
    publish(sender, state("A"), {"a": 1})
    publish(sender, state("A"), {"a": 2})
    publish(sender, event(), "not a state")
    async with curl(http_site, "sender", "vera") as get:
        _, states = await get.get("/state")
        assert [(told["topic"], told["data"], told["seq"]) for told in states] == [
            ("urn:pytel:state:A:1", {"a": 2}, 2),
            ("urn:pytel:state:B:1", {"b": 1}, 1),
        ]
        _, card = await get.get("/card")
        assert card == {"address": "sender", "card": {"interfaces": [], "boot": "boot-1", "primary": False}}
        _, health = await get.get("/health")
        assert health["status"] == "ok"
        assert abs(health["time"] - time.time()) < 5


async def test_nothing_is_kept_by_browsers_and_proxies(http_site: HttpSite) -> None:
    await http_site.member("sender")
    async with curl(http_site, "sender") as get, get.session.get(f"{get.url}/state") as response:
        headers: Any = response.headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "uvicorn" not in str(headers).lower()
