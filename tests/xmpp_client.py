"""A client of slixmpp for tests of servers: plain, with everything that arrives on record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from xml.etree.ElementTree import Element

from slixmpp import ClientXMPP, Message

from pytel.servers import XmppServer

PATIENCE = 20.0
JSON = "urn:xmpp:json:0"


class Refused(Exception):
    """The server does not let us in."""


class Client(ClientXMPP):
    """One connection; `notify` are the nodes it wants to hear of (XEP-0163)."""

    def __init__(self, server: XmppServer, name: str, password: str, notify: tuple[str, ...] = ()) -> None:
        super().__init__(f"{name}@{server.domain}/test", password)
        self._server = server
        self.enable_direct_tls = False
        self.enable_plaintext = False
        self.ca_certs = server.ca_file
        self.items: list[tuple[str, str, str, str]] = []
        self.online: set[str] = set()
        self.closed = asyncio.Event()
        self.stream_error = ""
        self.result: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for plugin in ("xep_0030", "xep_0060", "xep_0115", "xep_0163", "xep_0199", "xep_0202"):
            self.register_plugin(plugin)
        for node in notify:
            self.plugin["xep_0030"].add_feature(f"{node}+notify")
        self.add_event_handler("session_start", lambda _: self._settle(None))
        self.add_event_handler("failed_all_auth", lambda _: self._settle("authentication"))
        self.add_event_handler("no_auth", lambda _: self._settle("authentication"))
        self.add_event_handler("ssl_invalid_chain", lambda error: self._settle(f"certificate: {error}"))
        self.add_event_handler("connection_failed", lambda error: self._settle(f"connection: {error}"))
        self.add_event_handler("stream_error", self._on_stream_error)
        self.add_event_handler("disconnected", self._on_disconnected)
        self.add_event_handler("pubsub_publish", self._on_publish)
        self.add_event_handler("presence_available", lambda p: self.online.add(str(p["from"])))
        self.add_event_handler("presence_unavailable", lambda p: self.online.discard(str(p["from"])))

    async def log_in(self) -> None:
        """Raises `Refused`."""
        self.connect(self._server.host, self._server.port)
        async with asyncio.timeout(PATIENCE):
            await self.result
        await self.plugin["xep_0115"].update_caps(broadcast=False)
        self.send_presence()

    def _settle(self, reason: str | None) -> None:
        if self.result.done():
            return
        if reason is None:
            self.result.set_result(None)
        else:
            self.result.set_exception(Refused(reason))

    def _on_stream_error(self, error: Any) -> None:
        self.stream_error = str(error["condition"])
        self._settle(f"stream error {self.stream_error}")

    def _on_disconnected(self, reason: Any) -> None:
        self.closed.set()
        self._settle(f"disconnected: {reason}")

    def _on_publish(self, message: Message) -> None:
        items = message["pubsub_event"]["items"]
        for item in items["substanzas"]:
            payload = item["payload"]
            text = payload.text if payload is not None else ""
            self.items.append((message["from"].bare, str(items["node"]), str(item["id"]), text or ""))

    async def publish(self, node: str, text: str, item_id: str | None = None, to: str | None = None) -> None:
        pubsub: Any = self.plugin["xep_0060"]
        await pubsub.publish(to, node, id=item_id, payload=payload(text), timeout=PATIENCE)

    async def items_of(self, account: str, node: str) -> list[str]:
        """Ids of the items that a node keeps."""
        pubsub: Any = self.plugin["xep_0060"]
        answer = await pubsub.get_items(account, node, timeout=PATIENCE)
        return [str(item["id"]) for item in answer["pubsub"]["items"]["substanzas"]]

    async def leave(self) -> None:
        if self.is_connected():
            await self.disconnect(wait=1.0)
        self.cancel_connection_attempt()
        own = [task for task in asyncio.all_tasks() if self._started(task)]
        for task in own:
            task.cancel()
        await asyncio.gather(*own, return_exceptions=True)

    def _started(self, task: asyncio.Task[Any]) -> bool:
        """Whether slixmpp left this task running on our behalf: it cancels none of its own."""
        frame = getattr(task.get_coro(), "cr_frame", None)
        return frame is not None and "slixmpp" in frame.f_code.co_filename and frame.f_locals.get("self") is self


def payload(text: str) -> Element:
    """An item's content as the bus has it."""
    element = Element(f"{{{JSON}}}json")
    element.text = text
    return element


@asynccontextmanager
async def client(server: XmppServer, name: str, password: str, notify: tuple[str, ...] = ()) -> AsyncIterator[Client]:
    """A client that is logged in for the length of a block."""
    one = Client(server, name, password, notify)
    try:
        await one.log_in()
        yield one
    finally:
        await one.leave()


async def heard(sender: Client, listener: Client, node: str) -> None:
    """Publish until it is heard: ejabberd asks a client of unknown kind what it wants, and goes on meanwhile."""
    async with asyncio.timeout(PATIENCE):
        while not any(item[2] == "heard" for item in listener.items):
            await sender.publish(node, "are you there?", item_id="heard")
            await asyncio.sleep(0.1)


async def until(condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it did not come to pass")
        await asyncio.sleep(0.02)
