"""Calls: as JSON-RPC between modules of pytel, as XEP-0009 with everybody else."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

import msgspec

from pytel.base import clock
from pytel.base.errors import ConnectionLost, InvalidRequest, ParseError, Timeout, wrap
from pytel.bus import envelope, jsonrpc
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, Call, Caller, CallOptions, Endpoint, Role
from pytel.bus.xmpp import rpc_query, xmlrpc
from pytel.bus.xmpp.access import Access
from pytel.bus.xmpp.json_text import json_text
from pytel.bus.xmpp.link import Link
from pytel.bus.xmpp.names import CLIENT, JSON, RPC, Realm, attribute
from pytel.bus.xmpp.stanza_errors import error_of, error_stanza

JSON_TAG = f"{{{JSON}}}json"
RPC_TAG = f"{{{RPC}}}query"
MAX_IN_FLIGHT = 32
"""Calls of one person that are served side by side; modules are not limited."""


class Calls:
    """Sends calls and serves them. `offset` is how far the server's clock is ahead of ours, in seconds."""

    def __init__(self, link: Link, realm: Realm, access: Access) -> None:
        self.offset = 0.0
        self.endpoint: Endpoint | None = None
        self._link, self._realm, self._access = link, realm, access
        self._serving: set[asyncio.Task[None]] = set()
        self._in_flight: Counter[str] = Counter()
        self._number = 0
        own = realm.address(link.bare_jid)
        self._prefixes = (f"{own}.", f"{own.module}.") if own is not None else ()
        self._log = logging.getLogger(f"pytel.xmpp.{link.account}")

    # out

    async def call(
        self,
        target: Address,
        method: str,
        params: Mapping[str, Builtin] | Sequence[Builtin],
        options: CallOptions,
        *,
        plain: bool,
    ) -> Builtin:
        """Call a method; `plain` sends it as XEP-0009. Raises what the callee raised, `ModuleNotFound`, `Timeout`."""
        if not self._link.can_write:
            raise ConnectionLost(f"{self._link.account} is not connected, so {target} cannot be called")
        expires = clock.real_time() + options.timeout + self.offset
        self._number += 1
        request = envelope.request_of_call(method, params, options, expires=expires, identity=self._number)
        content = rpc_query.encode_request(request) if plain else _json(request)
        xmlrpc.check_size(content)
        try:
            answer = await self._link.query("set", self._realm.full_jid(target), content, options.timeout)
        except Timeout:
            raise Timeout(f"{target}.{method} did not answer within {options.timeout:g} s") from None
        if answer.get("type") == "error":
            raise error_of(answer, str(target))
        return self._value(answer, target, method)

    def _value(self, answer: Element, target: Address, method: str) -> Builtin:
        payload = answer[0] if len(answer) else None
        if payload is not None and payload.tag == JSON_TAG:
            return envelope.value_of(_decoded(payload))
        if payload is not None and payload.tag == RPC_TAG:
            return xmlrpc.decode_response(payload)
        raise InvalidRequest(f"{target} answered {method} with something else than a result")

    # in

    def serve(self, stanza: Element, payload: Element) -> None:
        """Execute a call in a task of its own and answer it."""
        sender = stanza.get("from", "")
        identity, to = attribute(stanza.get("id", "")), attribute(sender)
        caller = self._caller(sender)
        if caller is None:
            self._answer(error_stanza("auth", identity, to, "forbidden", "this account may not call modules"))
            return
        is_person = not caller.role.includes(Role.MODULE)
        if is_person and self._in_flight[caller.address] >= MAX_IN_FLIGHT:
            said = f"{MAX_IN_FLIGHT} calls of yours are under way; wait for their answers"
            self._answer(error_stanza("wait", identity, to, "resource-constraint", said))
            return
        if is_person:
            self._in_flight[caller.address] += 1
        head = f"<iq type='result' id={identity} to={to}>"
        work = self._serve(head, payload, caller, is_person)
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    def _caller(self, sender: str) -> Caller | None:
        bare = sender.partition("/")[0]
        address = self._realm.address(bare)
        return self._access.caller(bare, str(address) if address is not None else bare)

    async def _serve(self, head: str, payload: Element, caller: Caller, is_person: bool) -> None:
        try:
            if payload.tag == JSON_TAG:
                content = await self._json_answer(payload, caller)
            else:
                content = await self._rpc_answer(payload, caller)
        finally:
            if is_person:
                self._in_flight[caller.address] -= 1
        self._answer(f"{head}{content}</iq>")

    async def _json_answer(self, payload: Element, caller: Caller) -> str:
        identity: jsonrpc.RequestId = None
        try:
            message = _decoded(payload)
            identity = jsonrpc.id_of(message)
            value = await self._execute(envelope.call_of_request(message, caller))
            return _checked(_json(envelope.answer(identity, value)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
            return _json(envelope.fault(identity, error))

    async def _rpc_answer(self, payload: Element, caller: Caller) -> str:
        try:
            value = await self._execute(rpc_query.decode_request(payload, caller))
            return _checked(rpc_query.encode_result(value))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
            return rpc_query.encode_fault(wrap(error))

    async def _execute(self, call: Call) -> Builtin:
        if self.endpoint is None:
            raise ConnectionLost(f"{self._link.account} serves no calls")
        if call.expires is not None and self.offset:
            call = msgspec.structs.replace(call, expires=call.expires - self.offset)
        for prefix in self._prefixes:
            if call.method.startswith(prefix):  # `telescope.park`, as other buses and clients of XML-RPC name it
                call = msgspec.structs.replace(call, method=call.method.removeprefix(prefix))
                break
        return await self.endpoint.handle_call(call)

    def _answer(self, stanza: str) -> None:
        try:
            self._link.write(stanza)
        except ConnectionLost:
            return  # the caller has lost us, too, and was told

    async def close(self) -> None:
        """Stop serving; who called is told by our leaving, who calls yet that nobody serves."""
        self.endpoint = None
        for task in list(self._serving):
            task.cancel()
        if self._serving:
            await asyncio.wait(list(self._serving))

    def drop(self) -> None:
        """Stop serving at once."""
        for task in list(self._serving):
            task.cancel()


def is_call(stanza: Element, payload: Element) -> bool:
    """Whether an IQ is a call in one of both forms."""
    return payload.tag in (JSON_TAG, RPC_TAG) and stanza.get("type") == "set" and stanza.tag == f"{{{CLIENT}}}iq"


def _json(message: Builtin) -> str:
    return f"<json xmlns='{JSON}'>{json_text(message)}</json>"


def _decoded(payload: Element) -> Builtin:
    try:
        return msgspec.json.decode(payload.text or "")
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ParseError(f"this is no JSON: {error}") from error


def _checked(content: str) -> str:
    xmlrpc.check_size(content)
    return content
