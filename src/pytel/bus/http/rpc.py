"""JSON-RPC 2.0 in HTTP bodies: single requests, batches, notifications; every fault has a code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from pytel.base import clock
from pytel.base.errors import InvalidRequest, ModuleNotFound, PytelError
from pytel.bus import envelope, jsonrpc
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, Call, Caller
from pytel.bus.door import answer_time

_SPACES = ("rpc", "job")
"""What may stand before a dot in the name of a method."""


class RpcService:
    """Answers the requests that reach one module."""

    def __init__(self, own: Address, serve: Callable[[Call], Awaitable[Builtin]]) -> None:
        self._own = own
        self._prefixes = tuple(f"{name}." for name in dict.fromkeys((str(own), own.module)))
        self._serve = serve

    async def answer(self, body: bytes, caller: Caller) -> bytes | None:
        """Answer a body; None when there is nothing to answer."""
        try:
            message = jsonrpc.parse(body)
            if isinstance(message, list):
                return await self._batch(message, caller)
        except PytelError as error:
            return envelope.encoded_fault(None, error)
        return await self._one(message, caller)

    async def _batch(self, messages: list[Builtin], caller: Caller) -> bytes | None:
        if not 1 <= len(messages) <= jsonrpc.MAX_BATCH:
            raise InvalidRequest(f"a batch holds 1 to {jsonrpc.MAX_BATCH} requests, not {len(messages)}")
        answers = await asyncio.gather(*(self._one(message, caller) for message in messages))
        told = [answer for answer in answers if answer is not None]
        return b"[%s]" % b",".join(told) if told else None

    async def _one(self, message: Builtin, caller: Caller) -> bytes | None:
        identity = jsonrpc.id_of(message)
        try:
            call = self._call_of(message, caller)
        except PytelError as error:
            return envelope.encoded_fault(identity, error)
        try:
            result = await self._serve(call)
            answer = envelope.encode(envelope.answer(identity, result))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
            answer = envelope.encoded_fault(identity, error)
        return answer if "id" in message else None

    def _call_of(self, message: Builtin, caller: Caller) -> Call:
        call = envelope.call_of_request(message, caller)
        method = self._bare(call.method)
        expires = call.expires if call.expires is not None else clock.real_time() + answer_time(method, call.params)
        return msgspec.structs.replace(call, method=method, expires=expires)

    def _bare(self, method: str) -> str:
        """Take the module's own name off. Raises `ModuleNotFound` for another one's."""
        for prefix in self._prefixes:
            if method.startswith(prefix):
                return method.removeprefix(prefix)
        head, found, _ = method.rpartition(".")
        if found and head not in _SPACES:
            raise ModuleNotFound(
                f"this is {self._own}, and {head[:100]!r} is elsewhere; ask that module or the gateway"
            )
        return method
