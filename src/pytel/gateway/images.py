"""Images at the gateway: passed through from the stores of the site as they come, with ranges, tags and encodings."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import aiohttp
import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from pytel.base.errors import PytelError
from pytel.base.threads import in_thread
from pytel.bus.address import Address
from pytel.bus.contract import CallOptions, Peer
from pytel.bus.door import Door
from pytel.gateway.refusal import Refusal
from pytel.interfaces.imagestore import ImageStore, StoreAccess

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

CONNECT, SILENCE = 5.0, 20.0
"""Real seconds to connect to a store in, and of silence after which it counts as gone."""
PIECE = 1 << 18
_PATH = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}(/header|/pixels|/preview\.(webp|jpg))?")
_ASKED = (
    "accept",
    "accept-encoding",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
)
_LEFT_OUT = frozenset(
    {
        "connection",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "server",
        "set-cookie",
        "transfer-encoding",
        "www-authenticate",
        "x-content-type-options",
    }
)


class StoreImages:
    """Asks the stores in their order for what a person wants to see."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._session: aiohttp.ClientSession | None = None
        self._access: dict[Address, tuple[str, StoreAccess, ssl.SSLContext | bool]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve `/images/{id}` and what is below it."""
        request = Request(scope, receive)
        path = request.url.path.removeprefix("/images/")
        if _PATH.fullmatch(path) is None:
            raise Refusal(404, "there are /images/{id} and below it header, preview.webp, preview.jpg and pixels")
        answer = await self._answer(request, path)
        await answer(scope, receive, send)

    async def _answer(self, request: Request, path: str) -> Response:
        stores = self._stores()
        trouble = "no image store is there" if not stores else ""
        for store in stores:
            try:
                response = await self._asked(store, request, path)
            except (PytelError, aiohttp.ClientError, TimeoutError, OSError) as error:
                self._access.pop(store.address, None)
                trouble = f"the image store {store.address} cannot be reached: {error}"
                continue
            if response.status != 404:
                return _passed_on(response)
            response.release()
        if trouble:
            raise Refusal(503, trouble, {"Retry-After": "5"})
        raise Refusal(404, "no image store has an image of this id")

    def _stores(self) -> list[Peer]:
        """All image stores, those that are primary first."""
        urn = ImageStore.urn()
        found = [peer for peer in self._door.modules() if urn in peer.card.interfaces]
        return sorted(found, key=lambda peer: not peer.card.primary)

    async def _asked(self, store: Peer, request: Request, path: str) -> aiohttp.ClientResponse:
        response = await self._ask(store, request, path)
        if response.status in (401, 403):  # its token ends with the store's process
            response.release()
            self._access.pop(store.address, None)
            response = await self._ask(store, request, path)
        if response.status in (401, 403):
            response.release()
            raise aiohttp.ClientError("it does not know this gateway")
        return response

    async def _ask(self, store: Peer, request: Request, path: str) -> aiohttp.ClientResponse:
        access, context = await self._way_to(store)
        headers = {name: value for name in _ASKED if (value := request.headers.get(name)) is not None}
        headers["authorization"] = f"Bearer {access.token}"
        return await self._client().request(
            request.method,
            f"{access.url.rstrip('/')}/images/{path}",
            params=request.query_params.multi_items(),
            headers=headers,
            ssl=context,
            allow_redirects=False,
        )

    async def _way_to(self, store: Peer) -> tuple[StoreAccess, ssl.SSLContext | bool]:
        boot, access, context = self._access.get(store.address, ("", None, True))
        if access is None or boot != store.card.boot:
            told = await self._door.bus.call(store.address, "access", {}, CallOptions())
            access = msgspec.convert(told, StoreAccess)
            context = await in_thread(_context, access.certificate)
            self._access[store.address] = (store.card.boot, access, context)
        return access, context

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT, sock_read=SILENCE),
                connector=aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver()),
                skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
                read_bufsize=PIECE,
            )
        return self._session

    async def close(self) -> None:
        """Let go of all connections."""
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)


def _passed_on(response: aiohttp.ClientResponse) -> Response:
    fields = {name.lower(): value for name, value in response.headers.items() if name.lower() not in _LEFT_OUT}
    return StreamingResponse(_pieces(response), response.status, fields)


async def _pieces(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for piece in response.content.iter_chunked(PIECE):
            yield piece
    finally:
        response.close()


def _context(certificate: str | None) -> ssl.SSLContext | bool:
    return True if certificate is None else ssl.create_default_context(cadata=certificate)
