"""Reading the bodies of requests, which are hostile until read: so large, so slow, and JSON only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from pytel.gateway.refusal import Refusal, closing

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_BODY = 1 << 20
BODY_TIME = 20.0
"""Real seconds in which a body must have come."""


async def json_body(request: Request, largest: int = MAX_BODY) -> bytes:
    """The bytes of a body that is JSON by its header. Raises `Refusal`: 415, 413, 408."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise closing(415, "send JSON, with the header 'Content-Type: application/json'")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise closing(415, "send the body as it is, without Content-Encoding")
    return await bounded_body(request, largest)


async def bounded_body(request: Request, largest: int = MAX_BODY) -> bytes:
    """The bytes of a body, whatever they are. Raises `Refusal`: 413, 408."""
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length[:20]) > largest:
        raise closing(413, f"a body has at most {largest} bytes")
    try:
        async with asyncio.timeout(BODY_TIME):
            return await _read(request, largest)
    except TimeoutError:
        raise closing(408, f"the body did not come within {BODY_TIME:g} s") from None


async def _read(request: Request, largest: int) -> bytes:
    body = bytearray()
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise closing(400, "the client left before it had sent everything")
        body += message.get("body", b"")
        if len(body) > largest:
            raise closing(413, f"a body has at most {largest} bytes")
        if not message.get("more_body", False):
            return bytes(body)


def decoded(body: bytes, kind: type[Any]) -> Any:
    """A body as a struct. Raises `Refusal`: 400."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Refusal(400, f"the body is not what it should be: {error}") from error
