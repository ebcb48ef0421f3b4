"""`POST /rpc` and the addresses beside it, by real HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.kit import House, LampState, rpc_call
from gateway.kit import house as open_house
from pytel.base import clock
from pytel.base.errors import InvalidRequest, LimitExceeded, MethodNotFound, ModuleNotFound, NotAllowed, ParseError
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, Call, Caller, CallOptions, Card, Origin, Role


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


class Spy:
    """Writes down what reaches it."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def handle_call(self, call: Call) -> Builtin:
        """Keep it."""
        self.calls.append(call)
        return {"seen": call.params}


async def test_a_module_cannot_tell_a_call_that_came_this_way_but_for_who_calls(house: House) -> None:
    spy, spied = Spy(), house.supervisor.hub.bus(Address("spy"))
    await spied.open(spy, Card(interfaces=(), boot="b"))
    direct = house.supervisor.hub.bus(Address("direct"))
    await direct.open(Spy(), Card(interfaces=(), boot="b"))
    params = {"text": "Grüße", "numbers": [1, 2.5, None, True], "inner": {"a": []}}
    result = await direct.call(Address("spy"), "act", params, CallOptions(boot="b"))
    async with house.client("olga") as client:
        told = await _raw(client, "spy.act", params, {"boot": "b"})
    assert told["result"] == result
    plain, proxied = (call for call in spy.calls if call.method == "act")
    assert proxied.caller == Caller("gateway", Role.MODULE, is_proxy=True)
    assert proxied.origin == Origin("gateway/olga", Role.OPERATOR)
    for name in ("method", "params", "call_id", "boot"):
        assert getattr(proxied, name) == getattr(plain, name), name
    assert proxied.expires is not None
    await direct.close()
    await spied.close()


async def _raw(client: aiohttp.ClientSession, method: str, params: Any, meta: dict[str, Any]) -> Any:
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params, "pytel": meta}
    async with client.post("/rpc", json=request) as response:
        return await response.json()


async def test_a_late_call_is_not_executed_a_repeated_one_once_and_nobody_borrows_a_name(house: House) -> None:
    async with house.client("anna") as anna, house.client("olga") as olga:
        late = await _raw(anna, "lamp.set_level", [50], {"expires": clock.real_time() - 1})
        assert late["error"]["data"]["name"] == "Expired"
        assert house.gateway.door.states() == [
            state for state in house.gateway.door.states() if state.topic.name != "Lamp"
        ]
        meta = {"call_id": "once", "expires": clock.real_time() + 60}
        jobs = [(await _raw(client, "lamp.warm_up", [0.5], meta)) for client in (anna, anna, olga)]
        assert jobs[0]["result"]["job"] == jobs[1]["result"]["job"]
        assert jobs[2]["error"]["data"]["name"] == "Busy"
        assert jobs[2]["error"]["data"]["by"] == "gateway/anna"
        lie = await _raw(anna, "lamp.who_asks", [], {"origin": {"name": "root", "role": "admin"}})
        assert lie["result"] == "gateway/anna observer"
        wrong = await _raw(anna, "lamp.who_asks", [], {"expires": "soon"})
        assert wrong["error"]["code"] == InvalidRequest.code


async def test_the_control_of_a_group_is_held_by_a_person(tmp_path: Path) -> None:
    async with (
        open_house(tmp_path, modules="  control: {type: lease-control}\n") as house,
        house.client("anna") as anna,
        house.client("olga") as olga,
    ):
        assert (await rpc_call(anna, "control.take"))["result"]["holder"] == "gateway/anna"
        held = (await rpc_call(olga, "lamp.dim"))["error"]
        assert (held["data"]["name"], held["data"]["holder"]) == ("ControlHeld", "gateway/anna")
        assert "result" in await rpc_call(anna, "lamp.dim")
        assert (await rpc_call(olga, "control.take_over"))["result"]["holder"] == "gateway/olga"
        assert "error" in await rpc_call(anna, "lamp.dim")
