"""What every bus does, without modules: calls, publications, presence, loss of the link."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bus.harness import BusHarness, Ear, Endpoint, call, event, origin, publish, quiet, state, until
from pytel.base import clock
from pytel.base.errors import (
    Conflict,
    ConnectionLost,
    DeviceTimeout,
    InternalError,
    LimitExceeded,
    ModuleNotFound,
    PytelError,
    Timeout,
)
from pytel.bus.address import Address
from pytel.bus.contract import Bus, Call, Card, Peer, Role


def fail(error: Exception) -> Any:
    raise error


# calls


@pytest.mark.parametrize("params", [[], [1, 2.5, "three", None, True], {"a": [1, {"b": []}], "ü": "雪"}])
async def test_a_call_carries_builtins_there_and_back(site: BusHarness, params: Any) -> None:
    endpoint = Endpoint(lambda call: {"got": call.params})
    await site.member("callee", endpoint)
    caller = await site.member("caller")
    assert await call(caller, "callee", "echo", params) == {"got": params}
    assert endpoint.calls[0].method == "echo"


async def test_a_module_may_call_itself(site: BusHarness) -> None:
    bus = await site.member("one", Endpoint(lambda call: call.params))
    assert await call(bus, "one", "echo", [1]) == [1]


async def test_an_error_arrives_with_class_sentence_and_data(site: BusHarness) -> None:
    await site.member("callee", Endpoint(lambda call: fail(LimitExceeded("too low", limit=10.5, of=["alt"]))))
    caller = await site.member("caller")
    with pytest.raises(LimitExceeded, match="too low") as caught:
        await call(caller, "callee", "move")
    assert caught.value.data == {"limit": 10.5, "of": ["alt"]}


async def test_an_error_without_a_code_of_its_own_arrives_as_itself_where_it_is_known(site: BusHarness) -> None:
    class ShutterJammed(DeviceTimeout):
        """A fault that only this driver knows."""

    await site.member("callee", Endpoint(lambda call: fail(ShutterJammed("jammed", device="callee"))))
    caller = await site.member("caller")
    with pytest.raises(DeviceTimeout) as caught:
        await call(caller, "callee", "expose")
    assert caught.value.name == "ShutterJammed"
    assert caught.value.data["device"] == "callee"


async def test_a_fault_in_the_code_is_an_internal_error(site: BusHarness) -> None:
    await site.member("callee", Endpoint(lambda call: fail(ZeroDivisionError("a bug"))))
    caller = await site.member("caller")
    with pytest.raises(InternalError, match="ZeroDivisionError"):
        await call(caller, "callee", "divide")


async def test_an_absent_module_is_named(site: BusHarness) -> None:
    caller = await site.member("caller")
    with pytest.raises(ModuleNotFound, match=r"south\.camera"):
        await call(caller, "south.camera", "expose")


async def test_an_address_belongs_to_one(site: BusHarness) -> None:
    await site.member("camera")
    with pytest.raises(Conflict, match="camera"):
        await site.bus("camera").open(Endpoint(), Card(interfaces=(), boot="other"))
    await site.member("south.camera")


async def test_the_bus_vouches_for_the_caller(site: BusHarness) -> None:
    endpoint = Endpoint()
    await site.member("callee", endpoint)
    viewer = await site.person("alice", Role.VIEWER)
    await call(viewer, "callee", "look")
    received = endpoint.calls[0]
    assert (received.caller.address, received.caller.role, received.caller.is_proxy) == ("alice", Role.VIEWER, False)
    assert (received.origin.name, received.origin.role) == ("alice", Role.VIEWER)


async def test_origin_call_id_and_boot_arrive(site: BusHarness) -> None:
    endpoint = Endpoint()
    await site.member("callee", endpoint)
    caller = await site.member("caller")
    await call(caller, "callee", "look", origin=origin("alice"), call_id="01ABC", boot="boot-1")
    received = endpoint.calls[0]
    assert (received.origin, received.call_id, received.boot) == (origin("alice"), "01ABC", "boot-1")


async def test_a_call_tells_when_it_expires(site: BusHarness) -> None:
    endpoint = Endpoint()
    await site.member("callee", endpoint)
    caller = await site.member("caller")
    before = clock.real_time()
    await call(caller, "callee", "look", timeout=30.0)
    expires = endpoint.calls[0].expires
    assert expires is not None
    assert before + 30 <= expires <= clock.real_time() + 30


async def test_a_callee_that_does_not_answer_costs_the_timeout_and_no_more(site: BusHarness) -> None:
    release = asyncio.Event()

    async def answer(call: Call) -> str:
        await release.wait()
        return call.method

    await site.member("callee", Endpoint(answer))
    caller = await site.member("caller")
    with pytest.raises(Timeout, match=r"callee.*think"):
        await call(caller, "callee", "think", timeout=0.05)
    release.set()
    assert await call(caller, "callee", "answer") == "answer"


async def test_calls_run_side_by_side(site: BusHarness) -> None:
    release = asyncio.Event()

    async def answer(call: Call) -> str:
        if call.method == "wait":
            await release.wait()
        else:
            release.set()
        return call.method

    await site.member("callee", Endpoint(answer))
    caller = await site.member("caller")
    answers = await asyncio.gather(*(call(caller, "callee", method) for method in ("wait", "go")))
    assert answers == ["wait", "go"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: "a"}, b"bytes", {"set": {1}}, object()])
async def test_what_json_cannot_hold_is_refused(site: BusHarness, value: Any) -> None:
    await site.member("callee", Endpoint(lambda call: value))
    caller = await site.member("caller")
    with pytest.raises(InternalError):
        await call(caller, "callee", "take", [value])
    with pytest.raises(InternalError):
        await call(caller, "callee", "give")
    with pytest.raises(InternalError):
        publish(caller, state(), {"value": value})


async def test_caller_and_callee_share_nothing(site: BusHarness) -> None:
    kept: list[Any] = []

    def keep(call: Call) -> Any:
        kept.append(call.params)
        return kept[0]

    await site.member("callee", Endpoint(keep))
    caller = await site.member("caller")
    params = {"list": [1]}
    result = await call(caller, "callee", "keep", params)
    params["list"].append(2)
    result["list"].append(3)
    assert kept == [{"list": [1]}]


# states and events


async def test_events_arrive_in_order_and_once(site: BusHarness) -> None:
    sender, hearer = await site.member("sender"), await site.member("hearer")
    ear = Ear(hearer, event())
    for number in range(200):
        publish(sender, event(), {"number": number})
    await until(lambda: len(ear.heard) >= 200)
    await quiet()
    assert [data["number"] for data in ear.data] == list(range(200))
    assert [heard.seq for heard in ear.heard] == list(range(1, 201))
    assert {(heard.publisher, heard.boot, heard.replayed) for heard in ear.heard} == {
        (Address("sender"), "boot-1", False)
    }


async def test_a_publication_carries_its_site_time(site: BusHarness) -> None:
    sender, hearer = await site.member("sender"), await site.member("hearer")
    ear = Ear(hearer, event())
    sender.publish(event(), None, 1234.5)
    await until(lambda: ear.heard)
    assert ear.heard[0].time == 1234.5


async def test_only_the_topic_that_was_asked_for_is_heard(site: BusHarness) -> None:
    sender, hearer = await site.member("sender"), await site.member("hearer")
    one, everything = Ear(hearer, event("A")), Ear(hearer, None)
    publish(sender, event("A"), 1)
    publish(sender, event("B"), 2)
    publish(sender, state("A"), 3)
    await until(lambda: len(everything.heard) >= 3)
    assert one.data == [1]
    assert everything.data == [1, 2, 3]


async def test_who_has_cancelled_hears_nothing_more(site: BusHarness) -> None:
    sender, hearer = await site.member("sender"), await site.member("hearer")
    ear, other = Ear(hearer, event()), Ear(hearer, event())
    ear.subscription.cancel()
    ear.subscription.cancel()
    publish(sender, event(), 1)
    await until(lambda: other.heard)
    assert ear.heard == []


async def test_a_late_comer_gets_the_last_value_of_each_state_and_no_old_event(site: BusHarness) -> None:
    one, two = await site.member("one"), await site.member("two")
    for number in range(3):
        publish(one, state(), {"one": number})
        publish(two, state(), {"two": number})
        publish(one, event(), number)
    late = await site.member("late")
    states, events = Ear(late, state()), Ear(late, event())
    await until(lambda: len(states.heard) >= 2)
    publish(one, event(), "new")
    await until(lambda: events.heard)
    assert sorted(states.data, key=str) == [{"one": 2}, {"two": 2}]
    assert events.data == ["new"]


async def test_a_state_is_heard_again_even_if_it_is_the_same(site: BusHarness) -> None:
    sender, hearer = await site.member("sender"), await site.member("hearer")
    ear = Ear(hearer, state())
    publish(sender, state(), {"value": 1})
    publish(sender, state(), {"value": 1})
    await until(lambda: len(ear.heard) >= 2)


@pytest.mark.parametrize("how", ["closes", "crashes"])
async def test_the_states_of_who_is_gone_are_gone(site: BusHarness, how: str) -> None:
    sender, hearer = await site.member("sender"), await site.member("hearer")
    publish(sender, state(), 1)
    await leave(site, sender, how)
    await until(lambda: len(hearer.peers()) == 1)
    ear = Ear(hearer, state())
    await quiet()
    assert ear.heard == []


async def test_a_module_that_restarts_is_heard_from_its_first_word(site: BusHarness) -> None:
    sender, hearer = await site.member("sender"), await site.member("hearer")
    ear = Ear(hearer, event())
    publish(sender, event(), 1)
    publish(sender, event(), 2)
    await sender.close()
    again = await site.member("sender", card=Card(interfaces=(), boot="boot-2"))
    publish(again, event(), 3)
    await until(lambda: len(ear.heard) >= 3)
    assert [(heard.boot, heard.seq) for heard in ear.heard] == [("boot-1", 1), ("boot-1", 2), ("boot-2", 1)]


# presence


async def leave(site: BusHarness, bus: Bus, how: str) -> None:
    if how == "closes":
        await bus.close()
    else:
        site.kill(bus)


@pytest.mark.parametrize("how", ["closes", "crashes"])
async def test_peers_come_and_go(site: BusHarness, how: str) -> None:
    watcher = await site.member("watcher")
    told: list[tuple[str, bool]] = []
    watcher.watch_peers(lambda peer, present: told.append((str(peer.address), present)))
    card = Card(interfaces=("urn:pytel:interface:Camera:1",), boot="b", primary=True)
    camera = await site.member("south.camera", card=card)
    await until(lambda: len(told) >= 2)
    assert watcher.peers() == [Peer(address=Address("camera", "south"), card=card), watcher.peers()[1]]
    await leave(site, camera, how)
    await until(lambda: len(told) >= 3)
    assert told == [("watcher", True), ("south.camera", True), ("south.camera", False)]
    assert [str(peer.address) for peer in watcher.peers()] == ["watcher"]
    with pytest.raises(ModuleNotFound):
        await call(watcher, "south.camera", "expose")


async def test_who_watches_late_is_told_of_those_present(site: BusHarness) -> None:
    await site.member("one")
    two = await site.member("two")
    await until(lambda: len(two.peers()) == 2)
    told: list[str] = []
    subscription = two.watch_peers(lambda peer, present: told.append(str(peer.address)))
    await until(lambda: len(told) >= 2)
    assert told == ["one", "two"]
    subscription.cancel()
    await site.member("three")
    await quiet()
    assert told == ["one", "two"]


@pytest.mark.parametrize("how", ["closes", "crashes"])
async def test_a_callee_that_leaves_during_a_call_is_a_lost_connection(site: BusHarness, how: str) -> None:
    async def hang(call: Call) -> None:
        await asyncio.sleep(60)

    endpoint = Endpoint(hang)
    callee, caller = await site.member("callee", endpoint), await site.member("caller")
    waiting = asyncio.create_task(call(caller, "callee", "hang", timeout=30))
    await until(lambda: endpoint.calls)
    leaving = asyncio.create_task(leave(site, callee, how))
    with pytest.raises(ConnectionLost):
        await waiting
    await leaving


async def test_who_is_not_connected_cannot_call(site: BusHarness) -> None:
    await site.member("callee")
    caller = await site.member("caller")
    await caller.close()
    with pytest.raises(ConnectionLost):
        await call(caller, "callee", "look")


# loss of the link


async def test_calls_fail_at_once_while_the_bus_is_down_and_are_never_queued(site: BusHarness) -> None:
    endpoint = Endpoint()
    await site.member("callee", endpoint)
    caller = await site.member("caller")
    await site.stop_bus()
    with pytest.raises(ConnectionLost):
        async with asyncio.timeout(10):
            await call(caller, "callee", "look", timeout=30)
    await site.start_bus()
    await until(lambda: len(caller.peers()) == 2)
    await quiet()
    assert endpoint.calls == []
    await call(caller, "callee", "look")
    assert len(endpoint.calls) == 1


async def test_a_call_under_way_fails_when_the_link_goes(site: BusHarness) -> None:
    async def slow(call: Call) -> str:
        await asyncio.sleep(0.1)
        return "done"

    endpoint = Endpoint(slow)
    await site.member("callee", endpoint)
    caller = await site.member("caller")
    waiting = asyncio.create_task(call(caller, "callee", "work", timeout=30))
    await until(lambda: endpoint.calls)
    await site.stop_bus()
    with pytest.raises(ConnectionLost):
        await waiting
    await site.start_bus()
    await until(lambda: len(caller.peers()) == 2)
    assert await call(caller, "callee", "work") == "done"


async def test_peers_are_gone_while_the_bus_is_down_and_back_by_themselves(site: BusHarness) -> None:
    one, _ = await site.member("one"), await site.member("two")
    told: list[tuple[str, bool]] = []
    one.watch_peers(lambda peer, present: told.append((str(peer.address), present)))
    await until(lambda: len(told) >= 2)
    told.clear()
    await site.stop_bus()
    await until(lambda: ("two", False) in told)
    assert "two" not in [str(peer.address) for peer in one.peers()]
    await site.start_bus()
    await until(lambda: ("two", True) in told)
    assert [str(peer.address) for peer in one.peers()] == ["one", "two"]


async def test_subscriptions_and_states_are_back_by_themselves(site: BusHarness) -> None:
    sender, hearer = await site.member("sender"), await site.member("hearer")
    states, events = Ear(hearer, state()), Ear(hearer, event())
    publish(sender, state(), "before")
    publish(sender, event(), "before")
    await until(lambda: states.heard and events.heard)
    await site.stop_bus()
    publish(sender, state(), "meanwhile")
    await site.start_bus()
    await until(lambda: states.data[-1] == "meanwhile")
    publish(sender, state(), "after")
    publish(sender, event(), "after")
    await until(lambda: states.data[-1] == "after" and events.data[-1] == "after")
    assert states.data == ["before", "meanwhile", "after"]
    assert events.data == ["before", "after"]
    late = Ear(await site.member("late"), state())
    await until(lambda: late.data == ["after"])


async def test_who_subscribes_while_the_bus_is_down_hears_when_it_is_back(site: BusHarness) -> None:
    sender, hearer = await site.member("sender"), await site.member("hearer")
    publish(sender, state(), 1)
    await site.stop_bus()
    ear = Ear(hearer, state())
    await site.start_bus()
    await until(lambda: ear.data == [1])
    publish(sender, state(), 2)
    await until(lambda: ear.data == [1, 2])


async def test_a_module_that_crashes_while_the_bus_is_down_does_not_come_back(site: BusHarness) -> None:
    sender, hearer = await site.member("sender"), await site.member("hearer")
    publish(sender, state(), 1)
    await site.stop_bus()
    site.kill(sender)
    await site.start_bus()
    await until(lambda: [str(peer.address) for peer in hearer.peers()] == ["hearer"])
    ear = Ear(hearer, state())
    await quiet()
    assert ear.heard == []


async def test_closing_twice_or_while_the_bus_is_down_is_harmless(site: BusHarness) -> None:
    bus = await site.member("one")
    await site.stop_bus()
    await bus.close()
    await bus.close()
    await site.start_bus()


async def test_an_error_with_data_that_cannot_travel_arrives_all_the_same(site: BusHarness) -> None:
    await site.member("callee", Endpoint(lambda call: fail(PytelError("odd", value=float("nan")))))
    caller = await site.member("caller")
    with pytest.raises(PytelError, match="odd"):
        await call(caller, "callee", "odd")
