"""Servers that lie, stammer, stay silent or break off: errors with names, and no wait without end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytel.base import clock
from pytel.base.errors import ConnectionLost, DeviceError, DeviceTimeout, NotReady, PytelError
from pytel.devices.indi.client import IndiClient
from pytel.devices.indi.inventory import MAX_DEVICES, MAX_VECTORS, Inventory
from pytel.devices.indi.properties import PropertyState, Vector
from pytel.devices.indi.protocol import Element, ElementParser, ProtocolError

from .lying import DEVICE, Speaker, Visit, lying_server, number, set_number, switch

PATIENCE = 20.0


@contextlib.asynccontextmanager
async def client_of(speak: Speaker) -> AsyncIterator[IndiClient]:
    """A client of a lying server."""
    async with lying_server(speak) as address:
        client = IndiClient(address)
        await client.start()
        try:
            yield client
        finally:
            await client.stop()


async def silence(visit: Visit) -> None:
    """Say no more, until the client goes."""
    with contextlib.suppress(ConnectionError):
        await visit.hear("nothing that a client says")


async def test_a_server_that_never_speaks() -> None:
    async with client_of(silence) as client:
        await client.until_connected(PATIENCE)
        with pytest.raises(NotReady, match="has told of no device"):
            await client.require(DEVICE, "A", 0.2)


async def test_values_that_are_none() -> None:
    async def speak(visit: Visit) -> None:
        await visit.say(number("A", x="nan", y="-inf", z="1e999", text="twelve", hex="0x1f", sky="-0:30:00", one=" 1 "))
        await visit.say(switch("B", x=True).replace(">On<", ">Yes<"))
        await visit.say(set_number("A", y="NaN", one="2", unknown="5"))
        await visit.say(set_number("NEVER_DEFINED", x="1") + set_number("A", device="Nobody", one="7"))
        await visit.say(f'<setTextVector device="{DEVICE}" name="A"><oneText name="one">hi</oneText></setTextVector>')
        await visit.say(
            f'<setNumberVector device="{DEVICE}" name="A"><oneText name="one">9</oneText></setNumberVector>'
        )
        await visit.say(f'<setNumberVector name="A"/><defNumberVector device="{DEVICE}"/><whatIsThis/>')
        await visit.say(number("LAST", x=1))
        await silence(visit)

    async with client_of(speak) as client:
        await client.require(DEVICE, "LAST", PATIENCE)
        vector = await client.require(DEVICE, "A", PATIENCE)
        for member in ("x", "y", "z", "text", "hex", "not there"):
            with pytest.raises(DeviceError, match=rf"Liar: A\.{member} is "):
                vector.number(member)
        assert (vector.number("sky"), vector.number("one")) == (-0.5, 2.0)
        with pytest.raises(DeviceError, match="neither on nor off"):
            (await client.require(DEVICE, "B", PATIENCE)).on("x")
        with pytest.raises(DeviceError, match="no text"):
            vector.text("one")
        with pytest.raises(DeviceError, match=r"A\.two is not there, only x, y"):
            vector.members["two"]
        with pytest.raises(DeviceError, match="no finite number"):
            client.vector(DEVICE, "B").number("x")  # type: ignore[union-attr]
        assert client.devices() == (DEVICE,)
        assert client.vector(DEVICE, "NEVER_DEFINED") is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"<a><b></a>",
        b"<!DOCTYPE a [<!ENTITY x 'y'>]>",
        b"<x " + b"y" * 10**6,
        b"\xff\xfe\x00\x00<",
        b"<a>" * 50,
        b"",
    ],
    ids=range(7),
)
async def test_garbage_ends_the_link_and_the_next_one_is_tried(
    garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    visits: list[Visit] = []

    async def speak(visit: Visit) -> None:
        visits.append(visit)
        if len(visits) <= 3:
            await visit.hear("getProperties")
            await visit.say(garbage)
        else:
            await visit.say(number("A", x=1))
            await silence(visit)

    caplog.set_level(logging.INFO, "pytel.indi")
    async with client_of(speak) as client:
        vector = await client.require(DEVICE, "A", PATIENCE)
        assert vector.number("x") == 1.0
        assert len(visits) == 4
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_alert_tells_the_last_words() -> None:
    async def speak(visit: Visit) -> None:
        await visit.say(number("A", x=1) + number("B", x=1))
        await visit.hear("</newNumberVector>")
        await visit.say(f'<message device="{DEVICE}" message="[ERROR] Motor\nstalled\x7f"/>')
        await visit.say(set_number("A", "Busy", x=1) + set_number("A", "Alert", x=1) + set_number("A", "Ok", x=1))
        await visit.hear("</newNumberVector>")
        await visit.say(set_number("B", "Busy") + set_number("B", "Alert", message="Hit the stop"))
        await silence(visit)

    async with client_of(speak) as client:
        await client.require(DEVICE, "B", PATIENCE)
        with pytest.raises(DeviceError, match=r"Liar reports a fault of A: \[ERROR\] Motor stalled$"):
            await client.set(DEVICE, "A", {"x": 2}, PATIENCE)
        with pytest.raises(DeviceError, match="fault of B: Hit the stop"):
            await client.set(DEVICE, "B", {"x": 2}, PATIENCE, done=lambda vector: False)
        with pytest.raises(DeviceError, match="fault of B"):
            await client.wait(DEVICE, "B", lambda vector: vector.state is PropertyState.OK, PATIENCE)
        assert (await client.wait(DEVICE, "B", lambda vector: vector.number("x") == 1, PATIENCE)).count == 2
        assert (await client.wait(DEVICE, "A", lambda vector: vector.state is PropertyState.OK, PATIENCE)).count == 3


async def test_never_done_never_answered_and_wrongly_judged() -> None:
    async def speak(visit: Visit) -> None:
        await visit.say(number("A", x=1))
        while True:
            await visit.hear("</newNumberVector>")
            await visit.say(set_number("A", "Busy"))

    async with client_of(speak) as client:
        await client.require(DEVICE, "A", PATIENCE)
        with pytest.raises(DeviceTimeout, match=r"Liar did not .* it stands at busy; look at its INDI driver"):
            await client.set(DEVICE, "A", {"x": 2}, 0.3)
        with pytest.raises(DeviceError, match=r"A\.y is not there"):
            await client.set(DEVICE, "A", {"x": 2}, PATIENCE, done=lambda vector: vector.number("y") > 1)
        with pytest.raises(NotReady, match="no property B"):
            await client.wait(DEVICE, "B", lambda vector: True, PATIENCE)


@pytest.mark.parametrize("name", ['name="A" ', ""], ids=["property", "device"])
async def test_a_property_that_vanishes(name: str) -> None:
    async def speak(visit: Visit) -> None:
        for _ in range(2):
            await visit.say(number("A", x=1))
            await visit.hear("</newNumberVector>")
            await visit.say(f'<delProperty device="{DEVICE}" {name}/><delProperty device="Nobody"/><delProperty/>')
        await silence(visit)

    async with client_of(speak) as client:
        for _ in range(2):
            await client.require(DEVICE, "A", PATIENCE)
            with pytest.raises(NotReady, match="taken its property A back"):
                await client.set(DEVICE, "A", {"x": 2}, PATIENCE)


async def test_the_link_breaks_in_mid_element_and_mid_wait() -> None:
    visits: list[Visit] = []

    async def speak(visit: Visit) -> None:
        visits.append(visit)
        await visit.say(number("A", x=len(visits)))
        await visit.hear("</newNumberVector>")
        await visit.say(set_number("A", x=50)[:-30])

    async with client_of(speak) as client:
        for turn in (1, 2):
            vector = await client.require(DEVICE, "A", PATIENCE)
            assert vector.number("x") == turn
            with pytest.raises(ConnectionLost, match="closed the link"):
                await client.set(DEVICE, "A", {"x": 2}, PATIENCE)


async def test_the_inventory_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    async def speak(visit: Visit) -> None:
        for device in range(MAX_DEVICES + 50):
            await visit.say(number("A", device=f"device {device:04}", x=1))
        for vector in range(MAX_VECTORS + 50):
            await visit.say(number(f"V{vector:04}", device="device 0000", x=1))
        await visit.say(f'<message device="device 0000" message="{"long " * 1000}"/>' * 50)
        await visit.say(number("LAST", device="device 0001", x=1))
        await silence(visit)

    async with client_of(speak) as client:
        await client.require("device 0001", "LAST", PATIENCE)
        assert len(client.devices()) == MAX_DEVICES
        assert len(client.vectors("device 0000")) == MAX_VECTORS
        assert len(client.messages("device 0000")) == 20
        assert all(len(message.text) <= 300 for message in client.messages("device 0000"))
    assert len([record for record in caplog.records if "more devices or properties" in record.message]) == 1


async def test_two_servers_with_devices_of_one_name() -> None:
    async def one(visit: Visit) -> None:
        await visit.say(number("A", x=1))
        await silence(visit)

    async def other(visit: Visit) -> None:
        await visit.say(number("A", x=2))
        await visit.hear("</newNumberVector>")
        await visit.say(set_number("A", x=3))
        await silence(visit)

    async with client_of(one) as first, client_of(other) as second:
        await first.require(DEVICE, "A", PATIENCE)
        await second.require(DEVICE, "A", PATIENCE)
        await second.set(DEVICE, "A", {"x": 3}, PATIENCE)
        values = [client.vector(DEVICE, "A").number("x") for client in (first, second)]  # type: ignore[union-attr]
        assert values == [1.0, 3.0]


async def test_two_devices_of_one_name_on_one_server() -> None:
    """INDI cannot tell them apart; what is defined last holds, whatever its type."""

    async def speak(visit: Visit) -> None:
        await visit.say(number("A", x=1) + switch("A", y=True) + number("LAST", x=1))
        await visit.say(set_number("A", x=2))
        await silence(visit)

    async with client_of(speak) as client:
        await client.require(DEVICE, "LAST", PATIENCE)
        vector = await client.require(DEVICE, "A", PATIENCE)
        assert vector.on("y")
        with pytest.raises(DeviceError, match=r"A\.x is not there"):
            vector.number("x")


async def test_a_server_that_floods_leaves_others_their_turn() -> None:
    async def speak(visit: Visit) -> None:
        await visit.say(number("A", x=1))
        flood = (set_number("A", "Busy", x=1) * 2000).encode()
        with contextlib.suppress(ConnectionError):
            while True:
                await visit.say(flood)

    async with client_of(speak) as client:
        await client.require(DEVICE, "A", PATIENCE)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.01)
                turns += 1

        counting = asyncio.create_task(count())
        with pytest.raises(DeviceTimeout):
            await client.wait(DEVICE, "A", lambda vector: vector.state is PropertyState.OK, 1.0)
        counting.cancel()
        assert turns > 5


async def test_a_fault_of_our_own_costs_one_link(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faults = [RuntimeError("a fault of our own")]
    apply = Inventory.apply

    def stumble(self: Inventory, element: Element, now: float) -> object:
        if faults:
            raise faults.pop()
        return apply(self, element, now)

    async def speak(visit: Visit) -> None:
        await visit.say(number("A", x=1))
        await silence(visit)

    monkeypatch.setattr(Inventory, "apply", stumble)
    async with client_of(speak) as client:
        await client.require(DEVICE, "A", PATIENCE)
    assert "RuntimeError: a fault of our own" in caplog.text


async def test_values_are_no_younger_for_being_defined_again() -> None:
    async def speak(visit: Visit) -> None:
        await visit.say(number("A", x=1) + number("A", x=1) + number("B", x=1))
        await visit.hear("</newNumberVector>")
        await visit.say(set_number("A", x=2))
        await visit.hear("</newNumberVector>")
        await visit.say(number("A", x=2) + set_number("B", x=2))
        await silence(visit)

    async with client_of(speak) as client:
        await client.require(DEVICE, "B", PATIENCE)
        assert client.vectors(DEVICE)["A"].updated is None
        told = await client.set(DEVICE, "A", {"x": 2}, PATIENCE)
        assert told.updated == told.received
        await client.set(DEVICE, "B", {"x": 2}, PATIENCE)
        again = client.vectors(DEVICE)["A"]
        assert again.updated == told.updated
        assert again.count == told.count + 1


async def test_pings_are_answered() -> None:
    answers: list[bytes] = []

    async def speak(visit: Visit) -> None:
        await visit.say('<pingRequest uid="one &amp; &quot;two&quot;"/>')
        answers.append((await visit.hear("<pingReply uid=([^/]*)/>"))[1])
        await visit.say(number("A", x=1))
        await silence(visit)

    async with client_of(speak) as client:
        await client.require(DEVICE, "A", PATIENCE)
    assert answers == [b"'one &amp; \"two\"'"]


TAGS = [f"{verb}{kind}Vector" for verb in ("def", "set") for kind in ("Number", "Switch", "Text", "Light", "BLOB")]
ELEMENTS = st.lists(
    st.builds(
        lambda tag, device, name, state, members: (
            f'<{tag} device="{device}" name="{name}" state="{state}" rule="AtMostOne" perm="rw" message="m">'
            + "".join(f'<{kind} name="{member}" min="{text}">{text}</{kind}>' for kind, member, text in members)
            + f"</{tag}>"
        ),
        st.sampled_from([*TAGS, "delProperty", "message", "strange"]),
        st.sampled_from(["", "d", "e"]),
        st.sampled_from(["", "A", "B"]),
        st.sampled_from(["", "Ok", "Busy", "ALERT", "Alert"]),
        st.lists(
            st.tuples(
                st.sampled_from(["oneNumber", "defNumber", "defSwitch", "oneSwitch", "defText", "defLight", "odd"]),
                st.sampled_from(["", "x", "y"]),
                st.sampled_from(["", "1", "nan", "On", "Off", "Ok", "12:30", "-1e400"]),
            ),
            max_size=3,
        ),
    ),
    max_size=20,
)


@given(ELEMENTS)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_messages_leave_vectors_that_answer_or_say_why(texts: list[str]) -> None:
    inventory = Inventory("here", logging.getLogger("pytel.indi"))
    parser = ElementParser()
    for text in texts:
        for event in parser.feed(text.encode()):
            assert isinstance(event, Element)
            inventory.apply(event, clock.time())
    for device in inventory.devices():
        for vector in inventory.vectors(device).values():
            _ask_everything(vector)


def _ask_everything(vector: Vector) -> None:
    for member in [*vector.members, "nobody"]:
        for ask in (vector.number, vector.on, vector.text):
            with contextlib.suppress(DeviceError):
                ask(member)
    vector.chosen()


def test_errors_of_the_protocol_are_lost_connections_on_the_bus() -> None:
    error = PytelError.from_wire(ProtocolError("x").to_wire())
    assert isinstance(error, ConnectionLost)
