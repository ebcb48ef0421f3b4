"""Asking another module over HTTP, with connections that are kept."""

from __future__ import annotations

import asyncio
import errno
import secrets
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from pytel.base import clock
from pytel.base.errors import ConnectionLost, InternalError, NotAllowed, PytelError, Timeout
from pytel.bus import envelope, jsonrpc
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, CallOptions
from pytel.bus.http.credentials import Signer

CONNECT_TIMEOUT = 2.0
SILENCE = 10.0
"""Real seconds without a sign of life after which an event stream counts as broken."""
KEPT_IDLE = 30.0
"""Real seconds that idle connections are kept: fewer than by the server, lest it closes one that a call goes into."""
CONNECTIONS = 100
"""Calls that may be under way from one module to another; more wait for their turn, until they expire."""
MAX_ANSWER = 16 << 20
_JSON = "application/json"


class Refused(ConnectionLost):
    """Nobody listens there."""


class Silent(ConnectionLost):
    """Nothing has come for too long: the connection is broken, though nobody has closed it."""


def make_session(context: ssl.SSLContext | None) -> aiohttp.ClientSession:
    """Make what holds the connections of one module to all others."""
    connector = aiohttp.TCPConnector(
        limit=0,
        limit_per_host=CONNECTIONS,
        keepalive_timeout=KEPT_IDLE,
        ssl=context if context else True,
        resolver=aiohttp.ThreadedResolver(),  # the system's own names (/etc/hosts), and no thread that stays
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("Accept-Encoding", "User-Agent", "Accept"),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT),
    )


class Client:
    """One other module as it is reached over HTTP; `offset` is by how many seconds its clock is ahead of ours."""

    def __init__(self, session: aiohttp.ClientSession, signer: Signer, peer: Address, url: str) -> None:
        self.offset = 0.0
        self.own = signer.name
        self._session, self._signer, self._peer, self._url = session, signer, str(peer), url
        self._rpc = f"{url}/rpc"

    async def call(
        self, method: str, params: Mapping[str, Builtin] | Sequence[Builtin], options: CallOptions
    ) -> Builtin:
        """Call a method. Raises what the callee raised, `ConnectionLost`, `Timeout`."""
        expires = clock.real_time() + options.timeout + self.offset
        body = envelope.encode(envelope.request_of_call(method, params, options, expires=expires, identity=1))
        try:
            async with asyncio.timeout(options.timeout):
                answer = await self._post(body)
        except aiohttp.ClientError as error:
            raise ConnectionLost(f"the link to {self._peer} was lost during {method}: {_told(error)}") from error
        except TimeoutError:
            raise Timeout(f"{self._peer}.{method} did not answer within {options.timeout:g} s") from None
        except OSError as error:
            raise ConnectionLost(f"the link to {self._peer} was lost during {method}: {_told(error)}") from error
        return envelope.value_of(answer)

    async def _post(self, body: bytes) -> Builtin:
        headers = {"Content-Type": _JSON, "Authorization": self._signer.authorization(self._peer, self.offset)}
        async with self._session.post(self._rpc, data=body, headers=headers, allow_redirects=False) as response:
            self._admitted(response)
            if (response.content_length or 0) > MAX_ANSWER:
                raise InternalError(f"the answer of {self._peer} is longer than {MAX_ANSWER} bytes")
            if response.content_type != _JSON:
                raise InternalError(f"{self._peer} answers with {response.content_type}; is this its address?")
            return jsonrpc.parse(await response.read())

    def _admitted(self, response: aiohttp.ClientResponse) -> None:
        if response.status in (401, 403):
            raise NotAllowed(
                f"{self._peer} does not know {self._signer.name}: give both the same accounts (http: accounts)"
            )

    async def compare_clocks(self) -> float:
        """Measure by how many seconds the peer's clock is ahead; 0 for what the way there and back may explain.

        Raises `Refused`, `ConnectionLost`.
        """
        before = clock.real_time()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT), self._session.get(f"{self._url}/health") as response:
                theirs = jsonrpc.parse(await response.content.read(10_000))["time"]
                return _ahead(float(theirs), before, clock.real_time())
        except (aiohttp.ClientError, OSError) as error:
            raise broken(error) from error
        except (PytelError, LookupError, TypeError, ValueError) as error:
            raise ConnectionLost(f"what answers at {self._url} is no module") from error

    def stream(self, since: str | None, boot: str, nonce: str) -> Any:
        """Open the event stream: a context manager that gives the response."""
        headers = {
            "Authorization": self._signer.authorization(self._peer, self.offset),
            "Pytel-Boot": boot,
            "Pytel-Nonce": nonce,
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=SILENCE)
        params = {"since": since} if since else None
        return self._session.get(
            f"{self._url}/events", params=params, headers=headers, timeout=timeout, allow_redirects=False
        )

    def check_stream(self, response: aiohttp.ClientResponse) -> None:
        """Tell whether what was opened is a stream. Raises `NotAllowed`, `ConnectionLost`."""
        self._admitted(response)
        if response.status != 200 or response.content_type != "text/event-stream":
            raise ConnectionLost(f"it answers with status {response.status} instead of its events")


def new_nonce() -> str:
    """Make a word that nobody can have prepared an answer for."""
    return secrets.token_hex(16)


def broken(error: Exception) -> ConnectionLost:
    """What an error of the network says of the module at the other end."""
    if isinstance(error, aiohttp.ClientConnectorError) and error.errno == errno.ECONNREFUSED:
        return Refused("nobody listens at its address")
    if isinstance(error, aiohttp.SocketTimeoutError):
        return Silent(f"it has given no sign of life for {SILENCE:g} s")
    if isinstance(error, aiohttp.ClientPayloadError):
        return ConnectionLost("it broke off without a word")
    return ConnectionLost(_told(error))


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__


def _ahead(theirs: float, before: float, after: float) -> float:
    offset = theirs - (before + after) / 2
    return offset if abs(offset) > (after - before) / 2 else 0.0
