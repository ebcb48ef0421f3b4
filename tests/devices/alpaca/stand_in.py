"""An Alpaca server whose devices are what a test says: for what the simulators lack or never do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

SILENCE = object()
"""Instead of a value: no answer ever."""


class Fault(Exception):
    """An error number of ASCOM instead of a value."""

    def __init__(self, number: int) -> None:
        super().__init__(f"error {number:#x}")
        self.number = number


Answer = Any | Callable[[Mapping[str, str]], Any]


class StandIn:
    """Tells `values` by "type/member"; what is not among them is not implemented. Commands are in `done`, in order."""

    def __init__(self, values: Mapping[str, Answer]) -> None:
        self.values: dict[str, Answer] = dict(values)
        self.commands: dict[str, Answer] = {}
        self.done: list[tuple[str, Mapping[str, str]]] = []
        self._ended = asyncio.Event()

    async def __aenter__(self) -> StandIn:
        app = web.Application()
        app.router.add_route("*", "/api/v1/{kind}/0/{member}", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.address = f"127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended.set()
        await self._runner.cleanup()

    def names(self) -> list[str]:
        """The commands that came, without their parameters."""
        return [name for name, _ in self.done]

    async def _answer(self, request: web.Request) -> web.Response:
        name = f"{request.match_info['kind']}/{request.match_info['member']}"
        given: Mapping[str, str] = request.query
        known = self.values
        if request.method == "PUT":
            given = {key: str(value) for key, value in (await request.post()).items()}
            self.done.append((name, given))
            known = self.commands
        told: dict[str, Any] = {"ErrorNumber": 0, "ErrorMessage": "", "Value": None}
        try:
            told["Value"] = self._value(known, name, given)
            if told["Value"] is SILENCE:
                await self._ended.wait()
        except Fault as fault:
            told |= {"ErrorNumber": fault.number, "ErrorMessage": "as the test says"}
        told["ClientTransactionID"] = int(given["ClientTransactionID"])
        return web.Response(body=json.dumps(told, default=str).encode(), content_type="application/json")

    def _value(self, known: Mapping[str, Answer], name: str, given: Mapping[str, str]) -> Any:
        if name.endswith("/connected"):
            return True
        if name not in known:
            raise Fault(0x400)
        value = known[name]
        value = value(given) if callable(value) else value
        if isinstance(value, Fault):
            raise value
        return value
