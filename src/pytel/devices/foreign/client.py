"""Calling a foreign system: JSON-RPC 2.0 over HTTP POST, bounded in time and size, with typed errors only."""

from __future__ import annotations

import asyncio
import base64
import itertools
import logging
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from pytel.base.errors import ConfigError, ConnectionLost, DeviceError, DeviceTimeout, PytelError
from pytel.base.threads import in_thread
from pytel.base.units import Seconds
from pytel.bus import jsonrpc
from pytel.devices.foreign.failures import RAISABLE, raised_for
from pytel.module.faults import Found, nearest
from pytel.module.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    import aiohttp

MAX_ANSWER = 1 << 20
_CHUNK = 64 << 10
_RETRY_AFTER = 0.1


class ForeignSystem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a foreign system is, who one is there, and what its errors mean.

    `user` with `password` is HTTP Basic, `token` a bearer token. `errors` gives the code of an error of theirs a name
    of ours, such as `"4003": Unsafe`; any other is a `DeviceError`.
    """

    url: str
    user: str | None = None
    password: Secret | None = None
    token: Secret | None = None
    answer_time: Annotated[Seconds, Meta(gt=0)] = 5.0
    """Real seconds for an answer."""
    errors: dict[str, str] = {}

    def faults(self) -> Iterator[Found]:
        """Tell what its types cannot."""
        if not _is_url(self.url):
            yield (
                ("url",),
                f"url is {self.url!r}, but must be such as http://stella.example.org:8090/rpc",
            )
        if (self.user is None) != (self.password is None):
            yield ("user",), "user and password go together"
        if self.user is not None and self.token is not None:
            yield ("token",), "give either user and password, or a token"
        for code, name in self.errors.items():
            if not code.lstrip("-").isdecimal():
                yield ("errors", code), f"{code!r} is no code of an error: it must be a whole number"
            if name not in RAISABLE:
                yield ("errors", code), f"{name!r} is no error that a device raises; {nearest(name, RAISABLE)}"


class ForeignClient:
    """One module's way to a foreign system; `name` is that module's address, which errors carry."""

    def __init__(self, system: ForeignSystem, name: str) -> None:
        self._system, self._name = system, name
        self._ids = itertools.count(1)
        self._session: aiohttp.ClientSession | None = None
        self._log = logging.getLogger("pytel.foreign")

    async def open(self) -> None:
        """Make ready to call; connects nowhere. Raises `ConfigError` for a secret that is not there."""
        if self._session is not None:
            return
        headers = await in_thread(_import_and_headers, self._system, self._name)
        place = urlsplit(self._system.url)
        if headers and place.scheme == "http" and place.hostname not in ("localhost", "127.0.0.1", "::1"):
            self._log.warning("%s sends its password to %s unencrypted", self._name, place.hostname)
        self._session = _make_session(headers)

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def call(self, method: str, params: dict[str, Any] | list[Any], *, again: bool = False) -> Any:
        """Call a method; with `again` one that does no harm twice is tried a second time after a lost connection.

        Raises `ConnectionLost` when nobody is there or the link breaks, `DeviceTimeout` when no answer comes in time, a
        `DeviceError` for an answer that is none, and what `errors` says of theirs.
        """
        within = self._system.answer_time
        try:
            async with asyncio.timeout(within):
                return await self._tried(method, params, again)
        except TimeoutError:
            raise DeviceTimeout(
                f"{self._name}: {self._system.url} did not answer {method} within {within:g} s; look at that system",
                device=self._name,
            ) from None

    async def _tried(self, method: str, params: Any, again: bool) -> Any:
        try:
            return await self._once(method, params)
        except ConnectionLost:
            if not again:
                raise
        await asyncio.sleep(_RETRY_AFTER)
        return await self._once(method, params)

    async def _once(self, method: str, params: Any) -> Any:
        import aiohttp

        if self._session is None:
            raise ConnectionLost(f"{self._name} has not been started")
        identity = next(self._ids)
        request = {"jsonrpc": "2.0", "id": identity, "method": method, "params": params}
        body = msgspec.json.encode(request)
        try:
            async with self._session.post(self._system.url, data=body, allow_redirects=False) as response:
                answer = await self._read(response)
        except aiohttp.ClientError as error:
            raise ConnectionLost(f"{self._name} lost {self._system.url} during {method}: {_told(error)}") from error
        except OSError as error:
            raise ConnectionLost(f"{self._name} cannot reach {self._system.url}: {_told(error)}") from error
        return self._result(self._parsed(answer, response.status, method), identity, method)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        if response.status in (401, 403):
            raise self._wrong(f"does not let us in (HTTP {response.status}): look at user, password and token")
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > MAX_ANSWER:
                response.close()
                raise self._wrong(f"answers with more than {MAX_ANSWER} bytes")
        return bytes(body)

    def _parsed(self, answer: bytes, status: int, method: str) -> dict[str, Any]:
        """An answer of JSON-RPC, which some systems send with a status of HTTP that says failure."""
        try:
            message = jsonrpc.parse(answer)
        except PytelError as error:
            if status != 200:
                raise self._wrong(f"answers {method} with HTTP {status}; look at its log") from error
            raise self._wrong(f"answers {method} with what is no JSON; is this its address?") from error
        if not isinstance(message, dict) or (status != 200 and message.get("error") is None):
            raise self._wrong(f"answers {method} with HTTP {status} and no answer of JSON-RPC; is this its address?")
        return message

    def _result(self, message: dict[str, Any], identity: int, method: str) -> Any:
        failure = message.get("error")
        if message.get("id") != identity and not (failure is not None and message.get("id") is None):
            raise self._wrong(f"answers {method} with the answer to another request")
        if failure is not None:
            raise raised_for(failure, self._system.errors, self._name, method)
        if "result" not in message:
            raise self._wrong(f"answers {method} with neither result nor error")
        return message["result"]

    def _wrong(self, what: str) -> DeviceError:
        return DeviceError(f"{self._name}: {self._system.url} {what}", device=self._name)


def _is_url(text: str) -> bool:
    try:
        place = urlsplit(text)
        return place.scheme in ("http", "https") and bool(place.hostname) and place.username is None and place.port != 0
    except ValueError:
        return False


def _import_and_headers(system: ForeignSystem, name: str) -> dict[str, str]:
    """Blocking: the library is large, and secrets are in files."""
    try:
        import aiohttp  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"{name} needs {error.name}: install pytel-ocs[http]") from error
    if system.token is not None:
        return {"Authorization": f"Bearer {_header_text(system.token.reveal(), name)}"}
    if system.user is not None and system.password is not None:
        pair = f"{system.user}:{system.password.reveal()}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
    return {}


def _header_text(text: str, name: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise ConfigError(f"the token of {name} must be printable ASCII")
    return text


def _make_session(headers: dict[str, str]) -> aiohttp.ClientSession:
    import aiohttp

    return aiohttp.ClientSession(
        # One connection after the other: what waits in a kept one when the system is restarted would be lost.
        connector=aiohttp.TCPConnector(limit=8, force_close=True, resolver=aiohttp.ThreadedResolver()),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={**headers, "Content-Type": "application/json", "Accept": "application/json"},
        skip_auto_headers=("User-Agent", "Accept-Encoding"),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
    )


def _told(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


__all__ = ["MAX_ANSWER", "ForeignClient", "ForeignSystem"]
