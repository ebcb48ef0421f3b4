"""A module that serves HTTP, and clients that know nothing of pytel."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec

from bus.http_harness import HttpBusOnALine, HttpHarness
from pytel.bus.address import Address
from pytel.bus.contract import Role
from pytel.bus.http import sse
from pytel.bus.passwords import hash_password
from pytel.bus.people import Account, Token

PASSWORDS = {"vera": "look only", "otto": "pass word: with colon", "olga": "öffnen"}
ROLES = {"vera": Role.VIEWER, "otto": Role.OBSERVER, "olga": Role.OPERATOR}
TOKEN = "a-token-of-otto"
_tokens = {"script": Token(sha256=hashlib.sha256(TOKEN.encode()).hexdigest(), created=datetime.now(UTC))}
_people = {
    name: Account(role=ROLES[name], password=hash_password(password), tokens=_tokens if name == "otto" else {})
    for name, password in PASSWORDS.items()
}


class HttpSite(HttpHarness):
    """A site with three people."""

    def add_people(self) -> None:
        self.people.path.write_bytes(msgspec.json.encode(_people))

    def bus_of(self, address: str) -> HttpBusOnALine:
        return next(bus for bus in self.made if bus.address == Address.parse(address) and bus._is_open)


class Curl:
    """Asks one module as any program can."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session, self.url = session, url

    async def post(self, body: bytes, **headers: str) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json", **headers}
        async with self.session.post(f"{self.url}/rpc", data=body, headers=headers) as response:
            return response.status, await response.read()

    async def rpc(self, method: str, params: Any = (), identity: Any = 1) -> Any:
        request = {"jsonrpc": "2.0", "id": identity, "method": method, "params": params}
        status, body = await self.post(json.dumps(request).encode())
        assert status == 200
        answer = json.loads(body)
        assert answer["jsonrpc"] == "2.0"
        assert answer["id"] == identity
        return answer

    async def result(self, method: str, params: Any = ()) -> Any:
        answer = await self.rpc(method, params)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    async def error(self, method: str, params: Any = ()) -> tuple[int, str]:
        error = (await self.rpc(method, params))["error"]
        return error["code"], error["data"]["name"]

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        async with self.session.get(f"{self.url}{path}", headers=headers) as response:
            return response.status, await response.json()

    @asynccontextmanager
    async def events(self, query: str = "", **headers: str) -> AsyncIterator[Stream]:
        async with self.session.get(f"{self.url}/events{query}", headers=headers) as response:
            assert response.status == 200
            assert response.content_type == "text/event-stream"
            yield Stream(response)


class Stream:
    """A stream of events as it is read."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._parser = sse.Parser()
        self._read: list[sse.Event] = []

    async def next(self) -> sse.Event:
        async with asyncio.timeout(20):
            while not self._read:
                piece = await self._response.content.readany()
                if not piece:
                    raise EOFError
                self._read += self._parser.feed(piece)
        return self._read.pop(0)

    async def until(self, name: str) -> list[sse.Event]:
        """All events up to one of a name."""
        found = [await self.next()]
        while found[-1].name != name:
            found.append(await self.next())
        return found


def data_of(events: list[sse.Event]) -> list[Any]:
    """What publications say."""
    return [json.loads(event.data)["data"] for event in events if event.name.startswith("urn:")]


def basic(name: str, password: str) -> str:
    """The header of HTTP Basic."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@asynccontextmanager
async def curl(site: HttpHarness, address: str, user: str | None = "otto") -> AsyncIterator[Curl]:
    """Log in as somebody, or as nobody."""
    headers = {"Authorization": basic(user, PASSWORDS[user])} if user else {}
    connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
        yield Curl(session, site.url(Address.parse(address)))
