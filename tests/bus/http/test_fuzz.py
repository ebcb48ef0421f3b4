"""Whatever comes over HTTP: an answer in the form of JSON-RPC, no 500, no traceback, no hang."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bus.cast import WorkerModule
from bus.http.http_kit import PASSWORDS, HttpSite, basic
from pytel.bus import jsonrpc
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, Call, Caller, Role
from pytel.bus.http.rpc import RpcService

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
METHODS = st.sampled_from(
    ["say", "work", "rpc.discover", "job.wait", "job.status", "worker.work", "a.b", "", ".", "..", "job.", "__init__"]
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | JSON,
        "method": METHODS | JSON,
        "params": JSON,
        "id": st.integers() | st.text() | JSON,
        "pytel": st.dictionaries(st.sampled_from(["expires", "origin", "call_id", "boot"]), JSON) | JSON,
    },
)
BODIES = st.binary() | (JSON | REQUESTS | st.lists(REQUESTS, max_size=5)).map(
    lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
)
ASK = b'{"jsonrpc": "2.0", "id": 1, "method": "rpc.discover"}'
RESULTS = [None, {"fine": [1.5]}, float("nan"), {1: 2}, object(), "\ud800"]


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(BODIES, st.sampled_from([*RESULTS, ValueError("\ud800"), KeyError(object()), TimeoutError()]))
def test_every_body_gets_an_answer_of_json_rpc(body: bytes, outcome: Any) -> None:
    async def serve(call: Call) -> Builtin:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    service = RpcService(Address("worker"), serve)
    answer = asyncio.run(service.answer(body, Caller("alice", Role.ADMIN)))
    if answer is None:
        return
    told = jsonrpc.parse(answer)
    for one in told if isinstance(told, list) else [told]:
        assert one["jsonrpc"] == "2.0"
        assert ("result" in one) != ("error" in one)
        assert "error" not in one or isinstance(one["error"]["code"], int)


REQUEST_LINES = st.sampled_from([("POST", "/rpc"), ("GET", "/state")]) | st.tuples(
    st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "CONNECT"]),
    st.sampled_from(
        ["/rpc", "/events", "/state", "/card", "/health", "/", "*", "/rpc/..", "/events?since=", "http://x/"]
    )
    | st.text(st.characters(codec="latin-1"), max_size=20).map(lambda text: f"/{text}"),
)
VALUES = st.sampled_from(
    ["", "0", "5", "-1", "chunked", "application/json", "100-continue", "websocket", "close", "upgrade", "x-1",
     "bytes=0-", basic("otto", PASSWORDS["otto"])]
) | st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=20)  # fmt: skip
HARMLESS = ["Expect", "Last-Event-ID", "Pytel-Boot", "Pytel-Nonce", "Range", "X-Forwarded-For", "Accept-Encoding"]
FRAMING = ["Authorization", "Content-Type", "Content-Length", "Transfer-Encoding", "Upgrade", "Connection", "Host"]
HEADERS = st.lists(st.tuples(st.sampled_from(HARMLESS), VALUES), max_size=3) | st.lists(
    st.tuples(st.sampled_from(HARMLESS + FRAMING), VALUES), max_size=6
)


@pytest.mark.slow
async def test_every_request_gets_an_answer_of_http(http_site: HttpSite, caplog: pytest.LogCaptureFixture) -> None:
    await http_site.start(WorkerModule, "worker")
    port = http_site.lines[Address("worker")].far.number
    loop = asyncio.get_running_loop()
    seen: list[bytes] = []

    async def ask(request: bytes, is_whole: bool) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = b""
        try:
            writer.write(request)
            async with asyncio.timeout(5.0 if is_whole else 0.2):  # half a request waits for the rest
                while piece := await reader.read(1 << 16):
                    answer += piece
        except (ConnectionError, TimeoutError):
            pass
        finally:
            writer.close()
        return answer

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(REQUEST_LINES, HEADERS, BODIES, st.booleans())
    @example(("POST", "/rpc"), [], ASK, True)
    @example(("POST", "/rpc"), [], ASK, False)
    @example(("POST", "/rpc"), [("Content-Length", "x")], ASK, True)
    def fuzz(line: tuple[str, str], headers: list[tuple[str, str]], body: bytes, log_in: bool) -> None:
        known = [("Host", "x"), ("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        known += (
            [("Authorization", basic("otto", PASSWORDS["otto"])), ("Connection", "close")]
            if log_in
            else [("Connection", "close")]
        )
        lines = [f"{line[0]} {line[1]} HTTP/1.1", *(f"{name}: {value}" for name, value in known + headers)]
        request = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
        is_whole = line[1] != "/events" and not {name for name, _ in headers} & {"Expect", *FRAMING}
        seen.append(asyncio.run_coroutine_threadsafe(ask(request, is_whole), loop).result(20))

    await loop.run_in_executor(None, fuzz)
    statuses = {answer.split(b" ", 2)[1] for answer in seen if answer}
    assert statuses >= {b"200", b"400", b"401"}
    assert all(status[:1] in b"1234" for status in statuses), statuses
    assert not any(b"Traceback" in answer or b'File "' in answer for answer in seen)
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
