"""What comes from outside is taken for no more than it is: no answer to somebody else, no XML of its own."""

from __future__ import annotations

import asyncio
import re
from xml.etree.ElementTree import fromstring

from pytel.bus.contract import Topic
from pytel.bus.xmpp.inbox import items_query
from pytel.bus.xmpp.item import direct_message
from pytel.bus.xmpp.link import Link, Server
from pytel.bus.xmpp.neighbours import Wants

TRAP = "urn:pytel:event:x'/></pubsub></iq><iq id='2'>&amp;#58;<y z='\":1"


class Wire:
    """A link without a server: what it writes is kept."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.link = Link(
            Server(domain="pytel.test"),
            "camera",
            "pytel",
            self._password,
            inbound=lambda stanza: None,
            on_up=self._nothing,
            on_down=lambda error: None,
        )
        self.link.write = self.written.append  # type: ignore[method-assign, assignment]

    async def _password(self) -> str:
        return ""

    async def _nothing(self) -> None:
        return


async def test_an_answer_to_the_start_before_is_none_to_this_one() -> None:
    before, after = Wire(), Wire()
    before.link.query("get", "roof@pytel.test/pytel", "<ping xmlns='urn:xmpp:ping'/>", 5.0).cancel()
    answer = after.link.query("get", "roof@pytel.test/pytel", "<ping xmlns='urn:xmpp:ping'/>", 5.0)
    for wire in (before, after):
        identity = re.search("id='([^']*)'", wire.written[0])
        assert identity
        late = f"<iq xmlns='jabber:client' type='result' from='roof@pytel.test/pytel' id='{identity[1]}'/>"
        after.link._receive(fromstring(late))
        await asyncio.sleep(0)
        assert answer.done() == (wire is after)
    before.link.drop()


def test_the_name_of_a_topic_is_never_xml() -> None:
    topic = Topic.parse(TRAP)
    assert fromstring(items_query(topic, 5))[0].get("node") == TRAP
    assert fromstring(direct_message("a@b/c", topic, ""))[0][0].get("node") == TRAP
    wanted = fromstring(f"<module>{Wants({TRAP: 1.0}).element()}</module>")
    assert wanted[0].text == TRAP
    assert len(wanted) == 1
