"""Clients that are none of ours: they send any text as stanzas, and keep what comes back."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher.base import MatcherBase

from pytel.bus.xmpp.calls import JSON_TAG, RPC_TAG
from pytel.bus.xmpp.names import JSON
from pytel.bus.xmpp.stanza_errors import condition_of
from pytel.servers import XmppServer
from xmpp_client import PATIENCE, Client

_IQ = "{jabber:client}iq"


class _Any(MatcherBase):
    def match(self, stanza: Any) -> bool:
        return True


class Foreigner(Client):
    """A client that writes what it likes."""

    def __init__(self, server: XmppServer, name: str, password: str, resource: str = "test") -> None:
        super().__init__(server, name, password)
        self.requested_jid.resource = resource
        self.came: list[Element] = []
        self._numbers = itertools.count(1)
        self.register_handler(Callback("everything", _Any(None), lambda stanza: self.came.append(stanza.xml)))

    async def leave(self) -> None:
        await super().leave()
        tasks = [task for task in asyncio.all_tasks() if self._handles(task)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _handles(self, task: asyncio.Task[Any]) -> bool:
        """Whether a handler of slixmpp still waits here for an answer to what it asked on our stream."""
        frame = getattr(task.get_coro(), "cr_frame", None)
        return frame is not None and getattr(frame.f_locals.get("stanza"), "stream", None) is self

    async def ask(self, to: str, content: str, kind: str = "set") -> Element:
        """Send an IQ and return the answer, result or error."""
        identity = f"foreign-{next(self._numbers)}"
        self.send_raw(f"<iq type='{kind}' id='{identity}' to={quoteattr(to)}>{content}</iq>")
        async with asyncio.timeout(PATIENCE):
            while True:
                for stanza in self.came:
                    if stanza.tag == _IQ and stanza.get("id") == identity:
                        return stanza
                await asyncio.sleep(0.005)

    async def call(self, to: str, method: str, params: Any = (), **more: Any) -> Element:
        """A call as JSON-RPC; `more` are members of the request."""
        return await self.ask(to, json_content({"jsonrpc": "2.0", "id": 1, "method": method, "params": params, **more}))


def json_content(message: Any) -> str:
    """A message as the bus carries it; text is sent as it is."""
    text = message if isinstance(message, str) else json.dumps(message)
    return f"<json xmlns='{JSON}'>{escape(text)}</json>"


def outcome(answer: Element) -> str:
    """What an answer tells: `result`, the name of a fault, or the condition of an error."""
    if answer.get("type") == "error":
        return condition_of(answer)[0]
    payload = answer[0]
    if payload.tag == JSON_TAG:
        message = json.loads(payload.text or "")
        return str(message["error"]["data"]["name"]) if "error" in message else "result"
    assert payload.tag == RPC_TAG
    fault = payload.find(".//{jabber:iq:rpc}fault")
    return "result" if fault is None else "fault"


def value(answer: Element) -> Any:
    """The result in an answer to a call as JSON-RPC."""
    return json.loads(answer[0].text or "")["result"]


@asynccontextmanager
async def foreigner(server: XmppServer, name: str, password: str, resource: str = "test") -> AsyncIterator[Foreigner]:
    """Somebody who is logged in for the length of a block."""
    one = Foreigner(server, name, password, resource)
    try:
        await one.log_in()
        yield one
    finally:
        await one.leave()
