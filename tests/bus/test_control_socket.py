"""The control socket on the real event loop: calls, publications, and whatever else may come in."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytel.base.errors import LimitExceeded, PytelError
from pytel.bus import jsonrpc
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, Call, Card, Topic
from pytel.bus.control_socket import MAX_LINE, ControlSocket
from pytel.bus.door import split_method
from pytel.bus.local import LocalBus, LocalHub


class Echo:
    """Answers with what it got."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.called = asyncio.Event()

    async def handle_call(self, call: Call) -> Builtin:
        self.calls.append(call)
        self.called.set()
        if call.method == "fail":
            raise LimitExceeded("too far", limit=3)
        if call.method == "stumble":
            raise LimitExceeded("odd", at=Path("x"), limit=float("nan"))
        if call.method == "hang":
            await asyncio.sleep(60)
        return {"method": call.method, "params": call.params}


class Line:
    """A client that writes what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self) -> Any:
        async with asyncio.timeout(20):
            return json.loads(await self.reader.readline())

    async def ask(self, method: str, params: Any = None) -> Any:
        request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params or {}}
        await self.send(json.dumps(request).encode() + b"\n")
        return await self.receive()


class House:
    def __init__(self, socket: ControlSocket, bus: LocalBus, echo: Echo) -> None:
        self.socket, self.bus, self.echo = socket, bus, echo
        self._lines: list[Line] = []

    async def line(self) -> Line:
        line = Line(*await asyncio.open_unix_connection(self.socket.path))
        self._lines.append(line)
        return line

    async def close(self) -> None:
        for line in self._lines:
            line.writer.close()
        await self.socket.stop()
        await self.bus.close()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    hub = LocalHub()
    echo, bus = Echo(), hub.bus(Address("echo"))
    await bus.open(echo, Card(interfaces=("urn:pytel:interface:Echo:1",), boot="b"))
    socket = ControlSocket(tmp_path / "state" / "control.sock", hub.bus(Address("cli"), is_proxy=True), "here")
    await socket.start()
    await socket.listen()
    opened = House(socket, bus, echo)
    yield opened
    await opened.close()


async def test_a_call_reaches_its_module_with_the_name_of_the_caller(house: House) -> None:
    line = await house.line()
    answer = await line.ask("echo.say", {"word": "hello"})
    assert answer == {"jsonrpc": "2.0", "id": 7, "result": {"method": "say", "params": {"word": "hello"}}}
    call = house.echo.calls[0]
    assert call.caller.is_proxy
    assert call.origin.name.startswith("cli/")
    assert call.origin.role == "admin"
    assert (await line.ask("echo.job.status", ["x"]))["result"]["method"] == "job.status"


async def test_errors_keep_name_and_data(house: House) -> None:
    answer = await (await house.line()).ask("echo.fail")
    assert answer["error"]["message"] == "too far"
    assert answer["error"]["data"] == {"name": "LimitExceeded", "limit": 3}
    answer = await (await house.line()).ask("nobody.park")
    assert answer["error"]["data"]["name"] == "ModuleNotFound"


async def test_an_error_whose_data_json_cannot_hold_is_an_error(house: House) -> None:
    line = await house.line()
    await line.send(b'{"jsonrpc": "2.0", "id": 7, "method": "echo.stumble"}\n')
    async with asyncio.timeout(20):
        text = await line.reader.readline()
    error = json.loads(text, parse_constant=pytest.fail)["error"]
    assert (error["message"], error["data"]["name"]) == ("odd", "LimitExceeded")
    assert "nan" in error["data"]["detail"]


async def test_what_is_no_text_is_not_told_and_what_follows_is(house: House) -> None:
    line = await house.line()
    await line.ask("events.subscribe")
    house.bus.publish(Topic("event", "Spoke"), "\ud800", 0.0)
    house.bus.publish(Topic("event", "Spoke"), "fine", 0.0)
    assert (await line.receive())["params"]["data"] == "fine"


async def test_the_socket_is_for_its_owner_only(house: House) -> None:
    assert house.socket.path.stat().st_mode & 0o777 == 0o600


async def test_states_and_events_are_told(house: House) -> None:
    house.bus.publish(Topic("state", "Echo"), {"x": 1}, 0.0)
    line = await house.line()
    assert [state["data"] for state in (await line.ask("states.list"))["result"]] == [{"x": 1}]
    assert "result" in await line.ask("events.subscribe", {"topics": ["Echo"]})
    assert (await line.receive())["method"] == "state"
    house.bus.publish(Topic("event", "Other"), {}, 1.0)
    house.bus.publish(Topic("event", "Echo"), {"y": 2}, 1.5)
    news = await line.receive()
    assert news["method"] == "event"
    assert news["params"]["publisher"] == "echo"
    assert news["params"]["time"] == "1970-01-01T00:00:01.500000Z"
    assert news["params"]["data"] == {"y": 2}
    await line.ask("events.unsubscribe")


async def test_a_client_that_does_not_listen_loses_the_oldest_and_is_told(house: House) -> None:
    line = await house.line()
    await line.ask("events.subscribe")
    for number in range(1500):
        house.bus.publish(Topic("event", "Echo"), {"n": number}, 0.0)
    assert (await line.receive())["params"] == {"count": 500}
    assert (await line.receive())["params"]["data"] == {"n": 500}


async def test_modules_and_descriptions(house: House) -> None:
    line = await house.line()
    assert [peer["address"] for peer in (await line.ask("modules.list"))["result"]] == ["echo"]
    assert list((await line.ask("rpc.discover"))["result"]) == ["echo"]
    assert (await line.ask("session.info"))["result"]["site"] == "here"


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\n", -32700),
        (b"{\n", -32700),
        (b"\xff\xfe\n", -32700),
        (b"[" * 5000 + b"\n", -32700),
        (b'{"jsonrpc":"2.0","method":"echo.say","params":{"x":NaN},"id":1}\n', -32700),
        (b"1\n", -32600),
        (b"[]\n", -32600),
        (b"[" + b",".join([b"1"] * 51) + b"]\n", -32600),
        (b'{"method":"echo.say","id":1}\n', -32600),
        (b'{"jsonrpc":"2.0","method":5,"id":1}\n', -32600),
        (b'{"jsonrpc":"2.0","method":"echo.say","params":5,"id":1}\n', -32600),
        (b'{"jsonrpc":"2.0","method":"echo.say","id":[1]}\n', -32600),
        (b'{"jsonrpc":"2.0","method":"say","id":1}\n', -32601),
        (b'{"jsonrpc":"2.0","method":"../../etc.passwd","id":1}\n', -32602),
        (b'{"jsonrpc":"2.0","method":"echo.__init__","id":1}\n', -32006),
        (b'{"jsonrpc":"2.0","method":"events.subscribe","params":{"topics":5},"id":1}\n', -32602),
    ],
)
async def test_hostile_lines_get_an_error_and_the_door_stays_open(house: House, sent: bytes, code: int) -> None:
    line = await house.line()
    await line.send(sent)
    assert (await line.receive())["error"]["code"] == code
    assert "result" in await line.ask("echo.say")


async def test_a_line_without_end_closes_the_connection(house: House) -> None:
    line = await house.line()
    with contextlib.suppress(ConnectionError):  # the door may slam before all is said
        await line.send(b"x" * (4 * MAX_LINE))
        assert b"longer than" in await line.reader.read()
    assert "result" in await (await house.line()).ask("echo.say")


async def test_a_batch_is_answered_as_one_and_notifications_not_at_all(house: House) -> None:
    line = await house.line()
    requests = [{"jsonrpc": "2.0", "method": "echo.say", "id": 1}, {"jsonrpc": "2.0", "method": "echo.say"}, 5]
    await line.send(json.dumps(requests).encode() + b"\n")
    answers = await line.receive()
    assert [answer["id"] for answer in answers] == [1, None]
    await line.send(b'{"jsonrpc":"2.0","method":"echo.say"}\n')
    assert (await line.ask("echo.last"))["result"]["method"] == "last"


async def test_a_client_that_leaves_during_a_call_harms_nobody(house: House) -> None:
    line = await house.line()
    await line.send(b'{"jsonrpc":"2.0","method":"echo.hang","id":1}\n')
    async with asyncio.timeout(10.0):
        await house.echo.called.wait()
    line.writer.close()
    assert "result" in await (await house.line()).ask("echo.say")


async def test_a_client_that_does_not_read_its_answers_is_not_asked_on(house: House) -> None:
    line = await house.line()
    request = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "echo.say", "params": ["x" * 100_000]}).encode() + b"\n"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            for _ in range(200):
                await line.send(request)
    assert len(house.echo.calls) < 100
    line.writer.transport.abort()


async def test_a_path_too_long_for_a_socket_address(tmp_path: Path) -> None:
    from pytel.cli.client import reach_site

    deep = tmp_path / ("d" * 100) / ("e" * 100)
    socket = ControlSocket(deep / "control.sock", LocalHub().bus(Address("cli"), is_proxy=True), "here")
    await socket.start()
    await socket.listen()

    def ask() -> Any:
        with reach_site(deep) as client:
            return client.call("session.info")["site"]

    assert await asyncio.to_thread(ask) == "here"
    await socket.stop()


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
@settings(max_examples=200)
def test_no_bytes_crash_the_parser(data: bytes) -> None:
    try:
        jsonrpc.request_of(jsonrpc.parse(data))
    except PytelError:
        return


@given(st.text(max_size=30))
def test_no_text_crashes_the_address(text: str) -> None:
    try:
        split_method(text)
    except PytelError:
        return
