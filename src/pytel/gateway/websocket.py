"""One WebSocket: JSON-RPC both ways, on `/ws`.

The client asks as in `POST /rpc`, and `events.subscribe {topics, since}`; then come notifications `state` and `event`
(with `cursor`, by which the client may begin again where it was), `events.dropped` when it was too slow, and
`heartbeat` when nothing else came for five seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytel.base.errors import InvalidParams
from pytel.bus import envelope, jsonrpc
from pytel.bus.contract import Builtin
from pytel.bus.door import Visitor
from pytel.gateway.doorkeeper import Person
from pytel.gateway.news import Dropped, Item, News, Reader, heartbeat

if TYPE_CHECKING:
    from starlette.types import Receive, Send

MAX_MESSAGE = 1 << 20
MAX_IN_FLIGHT = 32
HEARTBEAT = 5.0
"""Real seconds of silence after which a sign of life is sent."""
LOG_IN_AGAIN = 4401
GOING_AWAY = 1001


class Gone(Exception):
    """The client has left, or is sent away with a code."""

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Socket:
    """A connection that has been admitted; `visitor` may be made by `visitor_of` with the methods in `own`."""

    def __init__(self, receive: Receive, send: Send, news: News, person: Person) -> None:
        self._receive, self._send, self._news, self._person = receive, send, news, person
        self._room = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._reader: Reader | None = None
        self._changed = asyncio.Event()
        self.own = {"events.subscribe": self._subscribe, "events.unsubscribe": self._unsubscribe}

    async def serve(self, visitor: Visitor) -> None:
        """Answer and tell until the client leaves."""
        await self._receive()
        await self._send({"type": "websocket.accept"})
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._tell())
                await self._read(visitor, tasks)
        except* Gone as group:
            await self._say_good_bye(group)
        finally:
            self._leave()

    async def _say_good_bye(self, group: BaseExceptionGroup[Gone]) -> None:
        gone = next((error for error in group.exceptions if isinstance(error, Gone) and error.code), None)
        if gone is not None:
            await self._put({"type": "websocket.close", "code": gone.code, "reason": gone.reason})

    async def _read(self, visitor: Visitor, tasks: asyncio.TaskGroup) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                raise Gone
            text = message.get("text")
            received: bytes = message.get("bytes") or b"" if text is None else text.encode()
            await self._room.acquire()
            tasks.create_task(self._answer(visitor, received))

    async def _answer(self, visitor: Visitor, received: bytes) -> None:
        try:
            if not self._person.is_welcome():
                raise Gone(LOG_IN_AGAIN, "log in again")
            self._person.note_use()
            answer = await visitor.answered(received)
            if answer is not None:
                await self._put_text(envelope.encoded_answer(answer).decode())
        finally:
            self._room.release()  # only now: who does not read his answers may ask no more

    async def _tell(self) -> None:
        while True:
            if not self._person.is_welcome():
                raise Gone(LOG_IN_AGAIN, "log in again")
            reader = self._reader
            if reader is None:
                await self._wait_for_change()
                continue
            told = await reader.take(HEARTBEAT)
            if reader is not self._reader:
                continue
            for item in told:
                await self._put_text(self._notification(item))
            if not told:
                await self._beat()

    async def _wait_for_change(self) -> None:
        try:
            async with asyncio.timeout(HEARTBEAT):
                await self._changed.wait()
            self._changed.clear()
        except TimeoutError:
            await self._beat()

    async def _beat(self) -> None:
        text = heartbeat(self._news.cursor()).decode()
        await self._put_text(f'{{"jsonrpc":"2.0","method":"heartbeat","params":{text}}}')

    def _notification(self, item: Item | Dropped) -> str:
        if isinstance(item, Item):
            return item.notification
        told = {"count": item.events, "since": self._news.cursor(item.number)}
        return envelope.encode(jsonrpc.notification("events.dropped", told)).decode()

    async def _put_text(self, text: str) -> None:
        await self._put({"type": "websocket.send", "text": text})

    async def _put(self, message: dict[str, Any]) -> None:
        try:
            await self._send(message)  # the listener cuts off who takes nothing for long
        except (OSError, RuntimeError) as error:
            raise Gone from error

    async def _subscribe(self, params: Mapping[str, Any]) -> Builtin:
        self._replace(self._news.read(topics_of(params.get("topics")), since_of(params.get("since"))))
        reader = self._reader
        return {"cursor": self._news.cursor(), "complete": reader is not None and reader.is_complete}

    async def _unsubscribe(self, params: Mapping[str, Any]) -> Builtin:
        self._replace(None)
        return None

    def _replace(self, reader: Reader | None) -> None:
        self._leave()
        self._reader = reader
        self._changed.set()

    def _leave(self) -> None:
        if self._reader is not None:
            self._news.leave(self._reader)
        self._reader = None


def topics_of(given: Builtin) -> frozenset[str] | None:
    """Check what topics somebody wants, None for all. Raises `InvalidParams`."""
    if given is None:
        return None
    if not (isinstance(given, list) and all(isinstance(topic, str) for topic in given)):
        raise InvalidParams("events.subscribe: topics must be a list of names, such as ['Telescope', 'NewImage']")
    return frozenset(given)


def since_of(given: Builtin) -> str | None:
    """Check where somebody wants to begin. Raises `InvalidParams`."""
    if given is not None and not isinstance(given, str):
        raise InvalidParams("events.subscribe: since must be the cursor of the last message seen")
    return given
