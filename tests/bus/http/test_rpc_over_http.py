"""One module as seen by programs that know JSON-RPC 2.0 and HTTP, and nothing of pytel."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from bus.cast import EchoModule, WorkerModule
from bus.harness import Endpoint, until
from bus.harness import call as call_module
from bus.http.http_kit import HttpSite, curl
from pytel.bus import jsonrpc
from pytel.bus.contract import Call, Origin, Role
from pytel.bus.http import serving


async def test_named_and_positional_parameters(http_site: HttpSite) -> None:
    await http_site.start(EchoModule, "echo")
    async with curl(http_site, "echo") as echo:
        assert await echo.result("say", {"word": "a", "times": 2}) == "a a"
        assert await echo.result("say", ["b"]) == "b"


@pytest.mark.parametrize("prefix", ["", "echo.", "south.echo."])
async def test_a_module_answers_to_its_own_name_and_without(http_site: HttpSite, prefix: str) -> None:
    await http_site.start(EchoModule, "south.echo")
    async with curl(http_site, "south.echo") as echo:
        assert await echo.result(f"{prefix}say", ["a"]) == "a"
        assert "openrpc" in await echo.result(f"{prefix}rpc.discover")
        assert await echo.result(f"{prefix}job.list") == []


async def test_the_name_of_another_is_refused(http_site: HttpSite) -> None:
    await http_site.start(EchoModule, "echo")
    async with curl(http_site, "echo") as echo:
        assert await echo.error("telescope.park") == (-32002, "ModuleNotFound")
        assert await echo.error("north.echo.say") == (-32002, "ModuleNotFound")


@pytest.mark.parametrize(
    ("method", "params", "error"),
    [
        ("sya", [], (-32601, "MethodNotFound")),
        ("_private", [], (-32601, "MethodNotFound")),
        ("rpc.nothing", [], (-32601, "MethodNotFound")),
        ("say", {"wrod": "a"}, (-32602, "InvalidParams")),
        ("operate", [], (-32006, "NotAllowed")),
        ("fail", [], (-32010, "OddError")),
        ("fail", {"with_bug": True}, (-32603, "InternalError")),
    ],
)
async def test_errors_have_codes_and_names(http_site: HttpSite, method: str, params: Any, error: Any) -> None:
    await http_site.start(EchoModule, "echo")
    async with curl(http_site, "echo") as echo:
        assert await echo.error(method, params) == error


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"[1,", -32700),
        (b"\xff\xfe", -32700),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "say", "params": [NaN]}', -32700),
        (b"[" * 50_000, -32700),
        (b"[]", -32600),
        (b"7", -32600),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "say"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 7}', -32600),
        (b'{"jsonrpc": "2.0", "id": {}, "method": "say"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "say", "params": "a"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "say", "pytel": {"expires": "late"}}', -32600),
    ],
)
async def test_what_is_no_request_is_told(http_site: HttpSite, body: bytes, code: int) -> None:
    await http_site.start(EchoModule, "echo")
    async with curl(http_site, "echo") as echo:
        status, answer = await echo.post(body)
        assert status == 200
        assert json.loads(answer)["error"]["code"] == code
        assert await echo.result("say", ["still here"]) == "still here"


async def test_a_batch_answers_what_asks_for_an_answer(http_site: HttpSite) -> None:
    await http_site.start(EchoModule, "echo")
    batch = [
        {"jsonrpc": "2.0", "id": "a", "method": "say", "params": ["a"]},
        {"jsonrpc": "2.0", "method": "say", "params": ["nobody hears it"]},
        {"jsonrpc": "2.0", "id": None, "method": "nothing"},
        7,
    ]
    async with curl(http_site, "echo") as echo:
        status, body = await echo.post(json.dumps(batch).encode())
        answers = json.loads(body)
        assert status == 200
        assert [answer["id"] for answer in answers] == ["a", None, None]
        assert answers[0]["result"] == "a"
        assert [answer["error"]["code"] for answer in answers[1:]] == [-32601, -32600]
        status, body = await echo.post(json.dumps(batch * 20).encode())
        assert json.loads(body)["error"]["code"] == -32600


async def test_a_notification_is_carried_out_and_not_answered(http_site: HttpSite) -> None:
    endpoint = Endpoint()
    await http_site.member("callee", endpoint)
    async with curl(http_site, "callee") as callee:
        assert await callee.post(b'{"jsonrpc": "2.0", "method": "note", "params": [1]}') == (204, b"")
        assert await callee.post(b'[{"jsonrpc": "2.0", "method": "note"}]') == (204, b"")
    assert [call.method for call in endpoint.calls] == ["note", "note"]


async def test_a_person_speaks_for_himself_only(http_site: HttpSite) -> None:
    endpoint = Endpoint()
    await http_site.member("callee", endpoint)
    await http_site.start(EchoModule, "echo")
    meta = {"origin": {"name": "olga", "role": "admin"}}
    async with curl(http_site, "echo") as echo:
        _, body = await echo.post(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "whoami", "pytel": meta}).encode())
    assert json.loads(body)["result"] == "otto as observer"
    async with curl(http_site, "callee", "vera") as callee:
        await callee.rpc("look")
    assert endpoint.calls[0].caller.address == "vera"
    assert endpoint.calls[0].origin == Origin("vera", Role.VIEWER)


async def test_a_plain_call_has_the_methods_deadline(http_site: HttpSite) -> None:
    endpoint = Endpoint()
    await http_site.member("callee", endpoint)
    async with curl(http_site, "callee") as callee:
        await callee.rpc("look")
        await callee.rpc("job.wait", {"job": "x", "timeout": 30})
        await callee.rpc("job.wait", {"job": "x", "timeout": 1e9})
    expiries = [call.expires or 0 for call in endpoint.calls]
    assert expiries[1] - expiries[0] == pytest.approx(30, abs=3)
    assert expiries[2] - expiries[0] == pytest.approx(60, abs=3)


async def test_a_call_that_comes_late_is_refused(http_site: HttpSite) -> None:
    await http_site.start(EchoModule, "echo")
    request = {"jsonrpc": "2.0", "id": 1, "method": "say", "params": ["a"], "pytel": {"expires": 1e9}}
    async with curl(http_site, "echo") as echo:
        _, body = await echo.post(json.dumps(request).encode())
    assert json.loads(body)["error"]["data"]["name"] == "Expired"


async def test_a_long_call_answers_at_once_and_outlives_its_connection(http_site: HttpSite) -> None:
    await http_site.start(WorkerModule, "worker")
    async with curl(http_site, "worker") as worker:
        started = await worker.result("work", {"seconds": 0.3})
        assert started["eta"] == pytest.approx(0.3, abs=0.1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await worker.result("job.wait", {"job": started["job"], "timeout": 30})
    async with curl(http_site, "worker") as worker:
        report = await worker.result("worker.job.wait", {"job": started["job"], "timeout": 30})
        assert (report["status"], report["result"]) == ("done", "worked for otto")
        assert (await worker.result("job.status", [started["job"]]))["result"] == "worked for otto"


async def test_people_who_wait_leave_room_for_modules(http_site: HttpSite) -> None:
    async def wait(call: Call) -> str:
        if call.method == "wait":
            await asyncio.sleep(30)
        return "at once"

    endpoint = Endpoint(wait)
    await http_site.member("callee", endpoint)
    caller = await http_site.member("caller")
    batch = [{"jsonrpc": "2.0", "id": number, "method": "wait"} for number in range(jsonrpc.MAX_BATCH)]
    async with curl(http_site, "callee") as callee:
        waiting = [asyncio.create_task(callee.post(json.dumps(batch).encode())) for _ in range(2)]
        await until(lambda: len(endpoint.calls) == serving.MAX_OF_PEOPLE)
        assert await callee.error("look") == (-32005, "Busy")
        assert await call_module(caller, "callee", "look") == "at once"
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


async def test_a_call_whose_client_leaves_goes_on(http_site: HttpSite) -> None:
    done: list[str] = []

    async def slow(call: Call) -> None:
        await asyncio.sleep(0.2)
        done.append(call.method)

    endpoint = Endpoint(slow)
    await http_site.member("callee", endpoint)
    async with curl(http_site, "callee") as callee:
        asking = asyncio.create_task(callee.rpc("work"))
        await until(lambda: endpoint.calls)
        asking.cancel()
        await asyncio.wait([asking])
    await until(lambda: done == ["work"])
