"""Asking an ASCOM Alpaca device: each member is a GET or a PUT of one value, bounded in time and size.

Source: ASCOM Alpaca API reference, sections 2.3 to 2.8. What comes is hostile until read: all failures are typed.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from pytel.base import ids
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
from pytel.base.threads import in_thread
from pytel.base.units import Seconds

if TYPE_CHECKING:
    import aiohttp

DEFAULT_SERVER = "localhost:11111"
MAX_ANSWER = 1 << 20
_CHUNK = 64 << 10
_LARGEST_ID = 0xFFFFFFFF
_ERRORS: dict[int, type[PytelError]] = {
    0x400: MethodNotFound,
    0x401: InvalidParams,
    0x402: NotReady,
    0x407: ConnectionLost,
    0x40C: MethodNotFound,
    0x40E: Cancelled,
}
"""Error numbers of ASCOM; any other is a `DeviceError`."""


class Download(NamedTuple):
    """Bytes that came, and the number of the request that they answer."""

    body: bytearray
    transaction: int


class _Answer(NamedTuple):
    media_type: str
    body: bytearray


class AlpacaClient:
    """One device of an Alpaca server (`host:port`): `kind` is its type in the address; errors carry `name`."""

    def __init__(self, server: str, kind: str, number: int, name: str) -> None:
        self.server, self.kind, self.number = server, kind, number
        self._name = name
        self._url = f"http://{server}/api/v1/{kind}/{number}/"
        self._client = 1 + int(ids.uniform(0, _LARGEST_ID - 1))
        self._transaction = 0
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make ready to ask; connects nowhere. Raises `ConfigError`."""
        if self._session is None:
            await in_thread(_checked, self.server, self._name)
            self._session = _make_session()

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def number_of(self, member: str, within: Seconds, **parameters: float | str) -> float:
        """Get a finite number. Raises as `get` does."""
        value = await self.get(member, within, **parameters)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(member, f"a number was wanted, but {_shown(value)} came")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise self._wrong(member, "a finite number was wanted")
        return number

    async def whole(self, member: str, within: Seconds) -> int:
        """Get a whole number. Raises as `get` does."""
        number = await self.number_of(member, within)
        if not number.is_integer():
            raise self._wrong(member, f"a whole number was wanted, but {number:g} came")
        return int(number)

    async def flag(self, member: str, within: Seconds, **parameters: float | str) -> bool:
        """Get a truth value. Raises as `get` does."""
        value = await self.get(member, within, **parameters)
        if not isinstance(value, bool):
            raise self._wrong(member, f"true or false was wanted, but {_shown(value)} came")
        return value

    async def texts(self, member: str, within: Seconds) -> tuple[str, ...]:
        """Get a list of texts. Raises as `get` does."""
        value = await self.get(member, within)
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise self._wrong(member, f"a list of texts was wanted, but {_shown(value)} came")
        return tuple(value)

    async def text(self, member: str, within: Seconds, **parameters: float | str) -> str:
        """Get a text, without what cannot be printed. Raises as `get` does."""
        value = await self.get(member, within, **parameters)
        if not isinstance(value, str):
            raise self._wrong(member, f"a text was wanted, but {_shown(value)} came")
        return _told(value)

    async def get(self, member: str, within: Seconds, **parameters: float | str) -> Any:
        """The value of a member, of any type.

        Raises `ConnectionLost`, `DeviceTimeout` after `within` real seconds, `DeviceError` for an answer that is none,
        and what the device's error number stands for.
        """
        answer = await self._asked("GET", member, _all_written(parameters), within)
        if answer.get("Value") is None:
            raise self._wrong(member, "the answer has no Value")
        return answer["Value"]

    async def put(self, member: str, within: Seconds, **parameters: float | bool | str) -> None:
        """Set something, or begin it; raises as `get` does."""
        await self._asked("PUT", member, _all_written(parameters), within)

    async def download(self, member: str, within: Seconds, media_type: str, largest: int) -> Download:
        """Get something in a media type of its own, of at most `largest` bytes.

        Raises as `get` does; also when the device answers in JSON, as it does to tell an error.
        """
        transaction = self._next_transaction()
        answer = await self._in_time(
            member, within, self._once("GET", member, {}, transaction, largest, {"Accept": media_type})
        )
        if answer.media_type == media_type:
            return Download(answer.body, transaction)
        if len(answer.body) <= MAX_ANSWER:
            self._result(member, answer.body, transaction)
        raise self._wrong(member, f"it came as {_told(answer.media_type)}, not as {media_type}")

    async def _asked(self, method: str, member: str, given: dict[str, str], within: Seconds) -> dict[str, Any]:
        transaction = self._next_transaction()
        work = self._once(method, member, given, transaction, MAX_ANSWER, {})
        answer = await self._in_time(member, within, work)
        return self._result(member, answer.body, transaction)

    async def _in_time(self, member: str, within: Seconds, work: Awaitable[_Answer]) -> _Answer:
        try:
            async with asyncio.timeout(within):
                return await work
        except TimeoutError:
            raise DeviceTimeout(
                f"{self._name}: the Alpaca server {self.server} did not answer within {within:g} s; look there",
                device=self._name,
                member=member,
            ) from None

    def _next_transaction(self) -> int:
        self._transaction = self._transaction % _LARGEST_ID + 1
        return self._transaction

    async def _once(
        self, method: str, member: str, given: dict[str, str], transaction: int, largest: int, headers: dict[str, str]
    ) -> _Answer:
        import aiohttp

        if self._session is None:
            raise ConnectionLost(f"{self._name} has not been started")
        sent = {**given, "ClientID": str(self._client), "ClientTransactionID": str(transaction)}
        how: dict[str, Any] = {"params": sent} if method == "GET" else {"data": sent}
        how |= {"allow_redirects": False, "headers": headers}
        try:
            async with self._session.request(method, self._url + member, **how) as response:
                body = await self._read(response, member, largest)
        except (aiohttp.ClientError, OSError) as error:
            # The same words whatever was asked, and however it failed: a loss is told once.
            raise ConnectionLost(
                f"{self._name} cannot reach the Alpaca server {self.server}; look at that server and the network",
                reason=_told(str(error)),
            ) from error
        if response.status != 200:
            raise self._refused(member, response.status, body)
        return _Answer(response.content_type, body)

    async def _read(self, response: aiohttp.ClientResponse, member: str, largest: int) -> bytearray:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > largest:
                response.close()
                raise self._wrong(member, f"the answer has more than {largest} bytes")
        return body

    def _refused(self, member: str, status: int, body: bytearray) -> PytelError:
        said = _told(body[:200].decode("utf-8", "replace"))
        sentence = f"{self._name}: {self._url}{member} answers with HTTP {status}: {said}"
        if status == 400:
            return InvalidParams(f"{sentence}; is there a {self.kind} {self.number}?", device=self._name)
        if status in (404, 405, 501):
            return MethodNotFound(sentence, device=self._name)
        return DeviceError(f"{sentence}; look at that server", device=self._name)

    def _result(self, member: str, body: bytearray, transaction: int) -> dict[str, Any]:
        try:
            answer: Any = msgspec.json.decode(body)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise self._wrong(member, "what came is no JSON; is this its address?") from error
        if not isinstance(answer, dict):
            raise self._wrong(member, "what came is no answer of Alpaca")
        number = answer.get("ErrorNumber")
        if not isinstance(number, int) or isinstance(number, bool):
            raise self._wrong(member, "what came is no answer of Alpaca: it has no ErrorNumber")
        # A server that was not told a number answers 0; one of them reads the parameters' names in one case only.
        if answer.get("ClientTransactionID", 0) not in (0, transaction):
            raise self._wrong(member, "the answer is that to another request")
        if number:
            raise self.error(member, number, str(answer.get("ErrorMessage") or ""))
        return answer

    def error(self, member: str, number: int, message: str) -> PytelError:
        """What an error number of ASCOM stands for."""
        said = _told(message or "no message")
        return _ERRORS.get(number, DeviceError)(
            f"{self._name}: {self.kind} {self.number} of {self.server}, {member}: {said} (error 0x{number:X})",
            device=self._name,
            number=number,
        )

    def _wrong(self, member: str, what: str) -> DeviceError:
        return DeviceError(f"{self._name}: {self._url}{member}: {what}", device=self._name)


def _checked(server: str, name: str) -> None:
    """Blocking: the library is large."""
    host, _, port = server.rpartition(":")
    if not host or set(host) & set("/@?# ") or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"{name}: server is {server!r}, but must be host:port, such as {DEFAULT_SERVER}")
    try:
        import aiohttp  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"{name} needs {error.name}: install pytel-ocs[http]") from error


def _make_session() -> aiohttp.ClientSession:
    import aiohttp

    return aiohttp.ClientSession(
        # One connection after the other: what waits in a kept one when the link is cut would be lost.
        connector=aiohttp.TCPConnector(limit=8, force_close=True, resolver=aiohttp.ThreadedResolver()),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept": "application/json"},
        skip_auto_headers=("User-Agent", "Accept-Encoding"),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
    )


def _all_written(parameters: Mapping[str, float | bool | str]) -> dict[str, str]:
    """As .NET and Python servers both read it."""
    return {name: str(value) for name, value in parameters.items()}


def _shown(value: Any) -> str:
    return _told(repr(value))[:80]


def _told(text: str) -> str:
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())[:200] or "nothing"


__all__ = ["DEFAULT_SERVER", "MAX_ANSWER", "AlpacaClient", "Download"]
