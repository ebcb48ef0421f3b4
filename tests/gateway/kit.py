"""A small site with a gateway, in the process of a test, and clients that speak plain HTTP to it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from pytel.base.errors import LimitExceeded, NotReady
from pytel.base.threads import in_thread
from pytel.bus.contract import Role
from pytel.bus.local import LocalHub
from pytel.bus.passwords import PasswordChecker
from pytel.bus.people import FILE, add_account
from pytel.gateway.gateway import HttpGateway
from pytel.module import Event, Interface, State, rpc
from pytel.module.faults import raise_for
from pytel.module.local_supervisor import LocalSupervisor
from pytel.module.module import Module
from pytel.module.sitefile import parse_site

PASSWORDS = {"anna": "correct horse", "olga": "battery staple", "otto": "letters and 9", "root": "root of all"}
ROLES = {"anna": Role.OBSERVER, "olga": Role.OPERATOR, "otto": Role.VIEWER, "root": Role.ADMIN}


class LampState(State, frozen=True, kw_only=True):
    """How bright it is."""

    level: int
    filling: str = ""


class Blinked(Event, frozen=True, kw_only=True):
    """It blinked."""

    number: int


class Lamp(Interface, state=LampState, events=(Blinked,)):
    """A lamp to play with."""

    @rpc(role=Role.VIEWER)
    async def who_asks(self) -> str:
        """Tell on whose behalf one is called."""
        raise NotImplementedError

    @rpc()
    async def set_level(self, level: int, password: str = "") -> int:
        """Make it brighter."""
        raise NotImplementedError

    @rpc(role=Role.OPERATOR)
    async def unscrew(self) -> None:
        """Take it out."""
        raise NotImplementedError

    @rpc(long=True, exclusive="motion")
    async def warm_up(self, seconds: float = 0.1) -> int:
        """Take a while."""
        raise NotImplementedError

    @rpc(control=True)
    async def dim(self) -> None:
        """Ask for the control."""
        raise NotImplementedError

    @rpc(role=Role.VIEWER)
    async def say(self, text: str) -> str:
        """Hand a text back."""
        raise NotImplementedError


class LampModule(Module, Lamp):
    """The lamp of these tests."""

    async def who_asks(self) -> str:
        """Name and role."""
        return f"{self.origin.name} {self.origin.role.value}"

    async def set_level(self, level: int, password: str = "") -> int:
        """Publish it."""
        if level > 100:
            raise LimitExceeded("that is too bright", limit=100)
        self.publish(LampState(level=level))
        return level

    async def unscrew(self) -> None:
        """Say no."""
        raise NotReady("it is hot")

    @rpc(long=True)
    async def warm_up(self, seconds: float = 0.1) -> int:
        """Wait."""
        await asyncio.sleep(seconds)
        return 100

    async def dim(self) -> None:
        """Do nothing."""

    async def say(self, text: str) -> str:
        """Hand it back."""
        return text


class OwnGateway(HttpGateway):
    """A gateway beside which others know passwords too."""

    outside: PasswordChecker | None = None

    def outside_accounts(self) -> PasswordChecker | None:
        """Who."""
        return type(self).outside


class House:
    """The site."""

    def __init__(self, supervisor: LocalSupervisor, directory: Path) -> None:
        self.supervisor = supervisor
        self.directory = directory

    def module(self, kind: type[Any], name: str) -> Any:
        """A module as it runs."""
        runtime = next(run for address, run in self.supervisor.running.items() if str(address) == name)
        assert isinstance(runtime.module, kind)
        return runtime.module

    @property
    def lamp(self) -> LampModule:
        """The lamp."""
        found: LampModule = self.module(LampModule, "lamp")
        return found

    @property
    def gateway(self) -> HttpGateway:
        """The gateway."""
        found: HttpGateway = self.module(HttpGateway, "gateway")
        return found

    @property
    def url(self) -> str:
        """Where the gateway is."""
        assert self.gateway.url is not None
        return self.gateway.url

    @property
    def accounts(self) -> Path:
        """The file of accounts."""
        return self.directory / "state" / "gateway" / FILE

    def client(self, name: str | None = "anna", **options: Any) -> aiohttp.ClientSession:
        """Somebody who logs in with every request, None for nobody."""
        headers = {"Authorization": basic(name, PASSWORDS[name])} if name else {}
        return aiohttp.ClientSession(self.url, headers=headers, connector=_connector(), **options)

    async def audit(self) -> list[dict[str, Any]]:
        """What is on record, as soon as it is written."""
        path = self.accounts.parent / "audit.jsonl"

        def read() -> list[dict[str, Any]]:
            return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

        return await in_thread(read)

    async def until_audited(self, condition: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Wait for the record."""
        await until_so(lambda: self._is_audited(condition))
        return await self.audit()

    async def _is_audited(self, condition: Callable[[list[dict[str, Any]]], bool]) -> bool:
        return condition(await self.audit())


def basic(name: str, password: str) -> str:
    """The header of HTTP Basic."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def _connector() -> aiohttp.TCPConnector:
    return aiohttp.TCPConnector(limit=0, resolver=aiohttp.ThreadedResolver(), force_close=False)


_accounts: list[bytes] = []


def _move_in(path: Path) -> None:
    """Hashing takes a while: it is done once."""
    if not _accounts:
        for name, password in PASSWORDS.items():
            add_account(path, name, ROLES[name], password)
        _accounts.append(path.read_bytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_accounts[0])
    path.chmod(0o600)


@contextlib.asynccontextmanager
async def house(directory: Path, *, more: str = "", modules: str = "") -> AsyncIterator[House]:
    """A site with a lamp and a gateway on a free port, and four people."""
    await in_thread(_move_in, directory / "state" / "gateway" / FILE)
    text = (
        "site: {name: here, latitude: 1, longitude: 2}\n"
        "modules:\n"
        f"  lamp: {{type: '{__name__}:LampModule'}}\n"
        f"  gateway: {{type: '{__name__}:OwnGateway', listen: '127.0.0.1:0' {more}}}\n"
        f"{modules}"
    )
    site, faults = await in_thread(parse_site, text, directory=directory)
    raise_for(faults)
    assert site is not None
    supervisor = LocalSupervisor(site, LocalHub())
    await supervisor.start()
    try:
        yield House(supervisor, directory)
    finally:
        await supervisor.stop()


async def rpc_call(client: aiohttp.ClientSession, method: str, params: Any = None, **headers: str) -> Any:
    """Send a request and return the whole answer."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {} if params is None else params}
    async with client.post("/rpc", json=request, headers=headers) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def until(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait for something."""

    async def ask() -> Any:
        return condition()

    await until_so(ask, seconds)


async def until_so(condition: Callable[[], Awaitable[Any]], seconds: float = 30.0, pause: float = 0.02) -> None:
    """Wait for something that has to be asked for."""
    async with asyncio.timeout(seconds):
        for _ in itertools.count():
            if await condition():
                return
            await asyncio.sleep(pause)
