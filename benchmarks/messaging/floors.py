"""The floors: what slixmpp can do at most over the same servers, with TLS, without modules or a bus.

`pinger` sends IQ pings (XEP-0199) as slixmpp does it. All others take stanzas before slixmpp makes objects of them and
write text to its transport: an IQ is given back as it came, a message is noted.

`python -m benchmarks.messaging.floors PLAN`
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import ssl
import sys
from typing import Any
from xml.etree.ElementTree import Element

from slixmpp import JID, ClientXMPP

from benchmarks.messaging.actor import Heard, serve

_IQ, _MESSAGE = "{jabber:client}iq", "{jabber:client}message"
_SPACE = "urn:pytel:bench"


class Bare(ClientXMPP):
    """A client that logs in, and whose IQs and messages go past slixmpp afterwards."""

    def __init__(self, plan: dict[str, Any], name: str, heard: Heard, number: int = 0) -> None:
        trusted = ssl.create_default_context(cafile=plan["ca"])
        super().__init__(f"{name}@{plan['domain']}/pytel", plan["passwords"][name], ssl_context=trusted)
        self.register_plugin("xep_0199")
        self.enable_direct_tls = self.enable_plaintext = False
        self._port, self._number, self._heard = plan["port"], number, heard
        self._in = asyncio.Event()
        self._waiting: dict[str, asyncio.Future[float]] = {}
        self._ids = itertools.count()
        self.bare = plan["role"] != "pinger"
        self.add_event_handler("session_start", lambda _: self._in.set())

    async def log_in(self) -> None:
        """Log in, unseen by the modules."""
        self.connect("127.0.0.1", self._port)
        await asyncio.wait_for(self._in.wait(), 30)

    def call(self, to: str, value: float) -> asyncio.Future[float]:
        """Send an IQ that the other side sends back."""
        identity = f"b{next(self._ids)}"
        answer = self._waiting[identity] = asyncio.get_running_loop().create_future()
        self.write(f"<iq type='set' id='{identity}' to='{to}'><v xmlns='{_SPACE}'>{value!r}</v></iq>")
        return answer

    def write(self, text: str) -> None:
        """Write past the queue."""
        if self.transport is None:
            raise ConnectionError("the link to the server is lost")
        self.transport.write(text.encode())

    def _spawn_event(self, xml: Element) -> None:
        if self.bare and len(xml) and xml[0].tag == f"{{{_SPACE}}}v":
            if xml.tag == _MESSAGE:
                self._heard.note(self._number, "event", int(xml[0].text or ""))
                return
            if xml.tag == _IQ and xml.get("type") == "result":
                self._waiting.pop(xml.get("id", "")).set_result(float(xml[0].text or ""))
                return
            if xml.tag == _IQ and xml.get("type") == "set":
                back = f"to='{xml.get('from')}' id='{xml.get('id')}'"
                self.write(f"<iq type='result' {back}><v xmlns='{_SPACE}'>{xml[0].text}</v></iq>")
                return
        super()._spawn_event(xml)


class Floor:
    """One process of a floor."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.heard = Heard()
        self._plan = plan
        self._clients: list[Bare] = []

    async def start(self) -> None:
        """Connect; returns when it serves."""
        numbers = self._plan.get("numbers", [0] * len(self._plan["names"]))
        for name, number in zip(self._plan["names"], numbers, strict=True):
            client = Bare(self._plan, name, self.heard, number)
            await client.log_in()
            self._clients.append(client)

    def _jid(self, name: str) -> str:
        return f"{name}@{self._plan['domain']}/pytel"

    async def call(self, value: float) -> float:
        """Have the callee give the value back, or answer a ping."""
        client, callee = self._clients[0], self._jid(self._plan["callee"])
        if client.bare:
            return await client.call(callee, value)
        await client.plugin["xep_0199"].send_ping(JID(callee), timeout=30)
        return value

    async def publish(self, kind: str, number: int) -> None:
        """Send a message to each listener; there are no states."""
        to = (self._jid(name) for name in self._plan["listeners"])
        head, body = "<message type='headline' to='", f"'><v xmlns='{_SPACE}'>{number}</v></message>"
        self._clients[0].write("".join(f"{head}{jid}{body}" for jid in to))


async def main(plan: dict[str, Any]) -> None:
    """Run one process until stdin ends."""
    logging.getLogger("slixmpp").setLevel(logging.ERROR)
    actor = Floor(plan)
    await serve(actor, actor.heard)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
