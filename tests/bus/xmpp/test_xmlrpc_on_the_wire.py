"""XEP-0009 through real servers, which read and write every stanza anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bus.harness import Endpoint, call
from bus.xmpp_harness import XmppHarness
from pytel.base.errors import Busy, InvalidParams
from pytel.bus.contract import Call, Role
from xmpp_kit import KINDS

pytestmark = pytest.mark.slow
VALUES: list[Any] = [
    None,
    True,
    -(2**31),
    2**63 - 1,
    1e-300,
    -0.0,
    "",
    " ",
    "\r\n\t <&>'\"]]>",
    "\r",
    "\n\n",
    "\x7f\x85\u2028\ufffd\U0001f52d\U0010ffff",
    [],
    {},
    {"": [], " a\r\n": {"<&>": None}},
    [[["deep"]]],
]


@pytest.fixture(params=KINDS)
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[XmppHarness]:
    harness = XmppHarness(tmp_path, request.param, "xep-0009")
    await harness.prepare()
    yield harness
    await harness.close()


async def test_values_survive_the_server_in_both_directions(site: XmppHarness) -> None:
    endpoint = Endpoint(lambda call: call.params)
    await site.member("callee", endpoint)
    caller = await site.member("caller")
    for value in VALUES:
        assert await call(caller, "callee", "say", [value]) == [value]
        assert await call(caller, "callee", "say", {"value": value}) == {"value": value}
        assert endpoint.calls[-1].params == {"value": value}


async def test_an_error_survives_the_server(site: XmppHarness) -> None:
    sent = Busy("in use: <\r\n&'\">", by="robot", text="<\r\n&'\">\U0001f52d\x00", deep=[{"a": None}])

    def refuse(_: Call) -> None:
        raise sent

    await site.member("callee", Endpoint(refuse))
    caller = await site.member("caller")
    with pytest.raises(Busy) as told:
        await call(caller, "callee", "say")
    assert (told.value.message, told.value.data) == (sent.message, sent.data)


async def test_a_character_that_xml_cannot_carry_costs_nobody_the_stream(site: XmppHarness) -> None:
    await site.member("callee", Endpoint(lambda call: "fine"))
    person = await site.person("caller", Role.MODULE)
    with pytest.raises(InvalidParams, match=r"U\+001B"):
        await call(person, "callee", "say", ["\x1b[31m"])
    assert await call(person, "callee", "say") == "fine"


async def test_a_method_may_have_the_name_of_its_module_in_front(site: XmppHarness) -> None:
    endpoint = Endpoint()
    await site.member("south.callee", endpoint)
    caller = await site.member("caller")
    for method in ("park", "callee.park", "south.callee.park", "job.wait", "caller.park"):
        await call(caller, "south.callee", method)
    assert [served.method for served in endpoint.calls] == ["park", "park", "park", "job.wait", "caller.park"]
