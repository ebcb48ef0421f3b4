"""A server that lies, errs, floods or is silent gives typed errors, and never a hang."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alpaca_kit import free_port, http, lying_client
from pytel.base.errors import (
    Cancelled,
    ConfigError,
    ConnectionLost,
    DeviceError,
    DeviceTimeout,
    InvalidParams,
    MethodNotFound,
    NotReady,
    PytelError,
)
from pytel.services.alpaca_client import MAX_ANSWER, AlpacaClient


def told(**fields: object) -> bytes:
    return http(json.dumps({"ErrorNumber": 0, "ErrorMessage": "", **fields}).encode())


@pytest.mark.parametrize(
    "answer",
    [
        http(b"<html><body>Welcome</body></html>"),
        http(b'{"Value": NaN, "ErrorNumber": 0}'),
        http(b'{"Value": 1e999, "ErrorNumber": 0}'),
        http(b'{"Value": %s, "ErrorNumber": 0}' % (b"9" * 400)),
        http(b"[" * 50_000),
        http(b""),
        http(b"[1]"),
        http(b"\xff\xfe"),
        http(b'{"Value": 1}'),
        told(Value="12"),
        told(Value=True),
        told(Value=None),
        told(Value=[1]),
        told(Value=1.5),
        told(),
        told(Value=1, ClientTransactionID=4711),
        told(Value=1, ErrorNumber="0"),
        http(b"gone", "500 Internal Server Error"),
        http(b"", "302 Found"),
        http(b" " * (MAX_ANSWER + 1)),
    ],
)
async def test_what_is_no_whole_number_is_a_device_error(answer: bytes) -> None:
    async with lying_client(answer) as client:
        with pytest.raises(DeviceError, match="focuser"):
            await client.whole("position", 5.0)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (0x400, MethodNotFound),
        (0x401, InvalidParams),
        (0x402, NotReady),
        (0x407, ConnectionLost),
        (0x408, DeviceError),
        (0x40B, DeviceError),
        (0x40C, MethodNotFound),
        (0x40E, Cancelled),
        (0x500, DeviceError),
        (-1, DeviceError),
    ],
)
async def test_numbers_of_ascom_are_errors_of_ours(number: int, error: type[PytelError]) -> None:
    async with lying_client(told(Value=1, ErrorNumber=number, ErrorMessage="the\nword")) as client:
        with pytest.raises(error, match="the word") as caught:
            await client.whole("position", 5.0)
    assert caught.value.data["number"] == number


async def test_silence_is_a_timeout() -> None:
    async with lying_client(None) as client:
        with pytest.raises(DeviceTimeout, match="did not answer"):
            await client.whole("position", 0.1)


async def test_nobody_there_and_half_an_answer_are_a_lost_connection() -> None:
    client = AlpacaClient(f"127.0.0.1:{free_port()}", "focuser", 0, "focuser")
    await client.open()
    with pytest.raises(ConnectionLost):
        await client.whole("position", 5.0)
    await client.close()
    async with lying_client(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf") as client:
        with pytest.raises(ConnectionLost):
            await client.whole("position", 5.0)


@pytest.mark.parametrize("server", ["", "localhost", "http://localhost:1", "a:0", "a:99999", "a/b:80", "u@a:80"])
async def test_an_address_that_cannot_be_is_told(server: str) -> None:
    with pytest.raises(ConfigError, match="host:port"):
        await AlpacaClient(server, "focuser", 0, "focuser").open()


@given(
    body=st.binary(max_size=200)
    | st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists).map(
        lambda value: json.dumps({"Value": value, "ErrorNumber": 0}).encode()
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_comes_is_a_value_or_a_typed_error(body: bytes) -> None:
    async with lying_client(http(body)) as client:
        for ask in (client.number_of, client.flag, client.texts):
            try:
                await ask("position", 5.0)
            except PytelError as error:
                assert error.message  # noqa: PT017 - any error of ours will do
