"""Who comes in by a request of HTTP, and how many requests of one person may be under way."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytel.gateway.doorkeeper import Credentials, Doorkeeper, Person
from pytel.gateway.refusal import Refusal

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

MOST_AT_ONCE = 100
"""Requests of one person that may be under way."""


async def admitted(connection: HTTPConnection, doorkeeper: Doorkeeper, cookie: str | None) -> Person:
    """Tell who sends a request; `cookie` names that of sessions, None where there are none. Raises `Refusal`."""
    fields = connection.headers.getlist("authorization")
    if len(fields) > 1:
        raise Refusal(400, "send one header Authorization")
    session = connection.cookies.get(cookie) if cookie is not None else None
    return await doorkeeper.admit(Credentials(fields[0] if fields else None, session), address_of(connection))


def address_of(connection: HTTPConnection) -> str:
    """From where a request comes."""
    return connection.client.host if connection.client is not None else "unknown"


class Crowd:
    """Counts what is under way of each person."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()

    @contextlib.contextmanager
    def one_of(self, person: Person) -> Iterator[None]:
        """Count one more request of a person. Raises `Refusal`: 429 for too many."""
        if self._under_way[person.name] >= MOST_AT_ONCE:
            message = f"{MOST_AT_ONCE} requests of {person.name} are under way; wait for some of them"
            raise Refusal(429, message, {"Retry-After": "1", "Connection": "close"})
        self._under_way[person.name] += 1
        try:
            yield
        finally:
            self._under_way[person.name] -= 1
            if not self._under_way[person.name]:
                del self._under_way[person.name]
