"""States and events as server-sent events, for cURL and programs without WebSockets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from starlette.responses import Response, StreamingResponse

from pytel.bus.http import sse
from pytel.gateway.doorkeeper import Person
from pytel.gateway.news import Dropped, News, Reader, heartbeat

HEARTBEAT = 5.0
"""Real seconds of silence after which a sign of life is sent."""


def stream(news: News, reader: Reader, person: Person) -> Response:
    """The answer that goes on until the client leaves, or is no longer welcome."""
    return StreamingResponse(_pieces(news, reader, person), media_type="text/event-stream")


async def _pieces(news: News, reader: Reader, person: Person) -> AsyncIterator[bytes]:
    try:
        begun = msgspec.json.encode({"cursor": news.cursor(), "complete": reader.is_complete})
        yield sse.encode(sse.Event("", "begin", begun))
        while person.is_welcome() and not reader.is_over:
            told = await reader.take(HEARTBEAT)
            for item in told:
                yield _dropped(news, item) if isinstance(item, Dropped) else item.server_sent
            if not told:
                yield sse.encode(sse.Event("", "heartbeat", heartbeat(news.cursor())))
    finally:
        news.leave(reader)


def _dropped(news: News, item: Dropped) -> bytes:
    told = msgspec.json.encode({"count": item.events, "since": news.cursor(item.number)})
    return sse.encode(sse.Event("", "events.dropped", told))
