"""Something between the drivers and alpaca-simulators that alters what the devices say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, Self

import aiohttp
from aiohttp import web

_NO_VALUE = {"Value": None, "ErrorMessage": "\x1b[31mno"}
LIES: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "NaN": lambda told: json.dumps(told | {"Value": float("nan")}).encode(),
    "a text": lambda told: json.dumps(told | {"Value": "north by northwest"}).encode(),
    "a heap": lambda told: json.dumps(told | {"Value": [{}, None]}).encode(),
    "too large": lambda told: json.dumps(told | {"Value": 1e300}).encode(),
    "negative": lambda told: json.dumps(told | {"Value": -7}).encode(),
    "gone": lambda told: json.dumps(told | _NO_VALUE | {"ErrorNumber": 0x400}).encode(),
    "a fault": lambda told: json.dumps(told | _NO_VALUE | {"ErrorNumber": 0x501}).encode(),
    "torn": lambda told: json.dumps(told).encode()[:-9],
    "no Alpaca": lambda told: b"<html>",
    "another's answer": lambda told: json.dumps(told | {"ClientTransactionID": 4000000000}).encode(),
    "nothing": lambda told: b"",
}


class Liar:
    """Passes all on, but for what `about` says of a path: its answers are altered as `lie` has it."""

    def __init__(self, behind: str) -> None:
        self._behind = behind
        self.lie: str | None = None
        self.about: Callable[[str], bool] = lambda path: True
        self.told = 0
        self._ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver()))
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.address = f"127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended.set()
        await self._runner.cleanup()
        await self._session.close()

    async def _pass_on(self, request: web.Request) -> web.Response:
        body = await request.read()
        headers = {name: request.headers[name] for name in ("Accept", "Content-Type") if name in request.headers}
        url = f"http://{self._behind}{request.raw_path}"
        async with self._session.request(request.method, url, data=body, headers=headers) as answer:
            content = await answer.read()
        kind = answer.content_type
        kind, content = self.forged(kind, content)
        if self.lie is not None and self.about(request.path):
            self.told += 1
            if self.lie == "silence":
                await self._ended.wait()
            elif self.lie == "500":
                return web.Response(status=500, text="Internal Server Error")
            else:
                content = self._altered(content)
        return web.Response(status=answer.status, body=content, content_type=kind)

    def forged(self, kind: str, content: bytes) -> tuple[str, bytes]:
        """The media type and the content of an answer, before they are altered."""
        return kind, content

    def _altered(self, content: bytes) -> bytes:
        try:
            told = json.loads(content)
        except ValueError:
            return content[:-1]
        return LIES[str(self.lie)](told)


ALL_LIES = [*LIES, "silence", "500"]
