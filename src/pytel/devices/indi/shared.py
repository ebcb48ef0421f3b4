"""One client for each server and event loop, however many drivers use it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from weakref import WeakKeyDictionary

from pytel.devices.indi.client import DEFAULT_SERVER, IndiClient

_Users = dict[str, tuple[IndiClient, int]]
_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _Users] = WeakKeyDictionary()


async def acquire_client(address: str = DEFAULT_SERVER) -> IndiClient:
    """The client of a server, started for its first user, until `release_client`. Raises `ConfigError`."""
    users = _of_loop.setdefault(asyncio.get_running_loop(), {})
    client, number = users.get(address, (None, 0))
    if client is None:
        client = IndiClient(address)
        await client.start()
    users[address] = (client, number + 1)
    return client


async def release_client(client: IndiClient) -> None:
    """Give back what `acquire_client` gave; the last user stops it."""
    users = _of_loop[asyncio.get_running_loop()]
    _, number = users[client.address]
    if number > 1:
        users[client.address] = (client, number - 1)
        return
    del users[client.address]
    await client.stop()


@contextlib.asynccontextmanager
async def shared_client(address: str = DEFAULT_SERVER) -> AsyncIterator[IndiClient]:
    """The client of a server for the length of a block."""
    client = await acquire_client(address)
    try:
        yield client
    finally:
        await release_client(client)
