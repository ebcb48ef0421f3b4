"""`POST /rpc` and the addresses beside it, by real HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.kit import House, LampState, rpc_call
from pytel.base.errors import InvalidRequest, LimitExceeded, MethodNotFound, ModuleNotFound, NotAllowed, ParseError


async def test_a_call_is_made_in_the_name_and_with_the_role_of_the_person(house: House) -> None:
    async with house.client("anna") as anna, house.client("olga") as olga:
        assert (await rpc_call(anna, "lamp.who_asks"))["result"] == "gateway/anna observer"
        assert (await rpc_call(anna, "lamp.set_level", [5]))["result"] == 5
        assert (await rpc_call(anna, "lamp.unscrew"))["error"]["code"] == NotAllowed.code
        error = (await rpc_call(olga, "lamp.unscrew"))["error"]
        assert (error["message"], error["data"]) == ("it is hot", {"name": "NotReady"})


async def test_errors_keep_code_name_and_data(house: House) -> None:
    async with house.client() as client:
        error = (await rpc_call(client, "lamp.set_level", {"level": 101}))["error"]
        assert error == {
            "code": LimitExceeded.code,
            "message": "that is too bright",
            "data": {"name": "LimitExceeded", "limit": 100},
        }
        assert (await rpc_call(client, "nobody.x"))["error"]["code"] == ModuleNotFound.code
        assert (await rpc_call(client, "lamp.x"))["error"]["code"] == MethodNotFound.code


async def test_a_job_is_followed_over_several_connections(house: House) -> None:
    async with house.client() as client:
        job = (await rpc_call(client, "lamp.warm_up", {"seconds": 0.3}))["result"]["job"]
    async with house.client("otto") as client:
        report = (await rpc_call(client, "lamp.job.wait", {"job": job, "timeout": 20}))["result"]
        assert (report["status"], report["result"]) == ("done", 100)


async def test_batches_and_notifications(house: House) -> None:
    async with house.client() as client:
        batch: list[Any] = [
            {"jsonrpc": "2.0", "id": "a", "method": "lamp.say", "params": {"text": "x"}},
            {"jsonrpc": "2.0", "method": "lamp.set_level", "params": [7]},
            5,
        ]
        async with client.post("/rpc", json=batch) as response:
            answers = await response.json()
        assert [answer["id"] for answer in answers] == ["a", None]
        assert answers[1]["error"]["code"] == InvalidRequest.code
        async with client.post("/rpc", json=batch[1]) as response:
            assert (response.status, await response.read()) == (204, b"")
        async with client.get("/state", params={"topic": "Lamp"}) as response:
            assert [state["data"]["level"] for state in await response.json()] == [7]


async def test_discover_describes_all_modules(house: House) -> None:
    async with house.client("otto") as client:
        described = (await rpc_call(client, "rpc.discover"))["result"]
        assert {"lamp", "gateway", "site"} <= set(described)
        assert described["lamp"]["openrpc"].startswith("1.3")
        assert (await rpc_call(client, "lamp.rpc.discover"))["result"]["info"]["title"] == "lamp"
        listed = (await rpc_call(client, "modules.list"))["result"]
        assert "lamp" in {module["address"] for module in listed}


async def test_state_health_and_who_one_is(house: House) -> None:
    house.lamp.publish(LampState(level=3))
    async with house.client("otto") as client:
        async with client.get("/state", params={"module": "lamp"}) as response:
            told = {state["topic"]: state["data"] for state in await response.json()}
        assert told["urn:pytel:state:Lamp:1"]["level"] == 3
        async with client.get("/session") as response:
            told = await response.json()
        assert (told["name"], told["role"], told["way"], told["site"]) == ("otto", "viewer", "basic", "here")
    async with house.client(None) as client, client.get("/health") as response:
        assert (await response.json())["status"] == "ok"


async def test_the_same_text_comes_back(house: House) -> None:
    text = "Grüße ☄ \x00 \u2028 \\ \" '"
    async with house.client() as client:
        assert (await rpc_call(client, "lamp.say", {"text": text}))["result"] == text


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", ParseError.code),
        (b"{", ParseError.code),
        (b"\xff\xfe", ParseError.code),
        (b"[" * 5000, ParseError.code),
        (b'"\\ud800"', ParseError.code),
        (b"1", InvalidRequest.code),
        (b"[]", InvalidRequest.code),
        (b"[" + b",".join([b"1"] * 51) + b"]", InvalidRequest.code),
        (b'{"method":"lamp.say","id":1}', InvalidRequest.code),
    ],
)
async def test_hostile_bodies_get_an_error_of_json_rpc(house: House, body: bytes, code: int) -> None:
    async with house.client() as client:
        headers = {"Content-Type": "application/json"}
        async with client.post("/rpc", data=body, headers=headers) as response:
            assert response.status == 200
            assert json.loads(await response.read())["error"]["code"] == code


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/rpc", 405),
        ("PUT", "/session", 405),
        ("GET", "/", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/rpc/", 404),
        ("GET", "/../../etc/passwd", 404),
        ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "/images/../../etc/passwd", 404),
        ("GET", "/ws", 404),
        ("OPTIONS", "/rpc", 405),
    ],
)
async def test_what_is_not_there(house: House, method: str, path: str, status: int) -> None:
    async with house.client() as client, client.request(method, path) as response:
        assert response.status == status
        assert "Traceback" not in await response.text()


async def test_only_json_is_taken(house: House) -> None:
    async with house.client() as client:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            async with client.post("/rpc", data=b"{}", headers={"Content-Type": kind}) as response:
                assert response.status == 415
