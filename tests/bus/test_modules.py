"""What modules may rely on, whichever bus carries them: typed calls, jobs, states, events, roles, leases, groups."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

import pytel.module.proxy
from bus.cast import (
    Caller,
    Colour,
    EagerWorker,
    Echo,
    EchoModule,
    Listener,
    OddError,
    Parcel,
    Relay,
    RelayModule,
    Worker,
    WorkerCapabilities,
    WorkerModule,
    WorkerState,
)
from bus.harness import BusHarness, Ear, Endpoint, call, origin, quiet, until
from pytel.automation.control import LeaseControl
from pytel.base import clock, ids
from pytel.base.errors import (
    AmbiguousModule,
    Busy,
    Cancelled,
    ConnectionLost,
    ControlHeld,
    Expired,
    InternalError,
    InvalidParams,
    JobLost,
    MethodNotFound,
    ModuleNotFound,
    NotAllowed,
    NotFound,
    Timeout,
)
from pytel.bus.contract import Bus, Call, Card, Role, Topic
from pytel.bus.contract import Caller as Sender
from pytel.interfaces import Control
from pytel.module import ModuleState
from pytel.module.module import Module

ERRORS = Topic("event", "ErrorRaised")


async def caller(site: BusHarness, address: str = "caller", **options: Any) -> Module:
    return (await site.start(Caller, address, **options)).module


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a module that is gone up after 0.3 s instead of 15."""
    monkeypatch.setattr(pytel.module.proxy, "LOST_AFTER", 0.3)


# short calls


async def test_parameters_by_position_and_by_name_with_defaults(site: BusHarness) -> None:
    await site.start(EchoModule, "echo")
    echo = (await caller(site)).find(Echo)
    assert await echo.say("a") == "a"
    assert await echo.say("a", 2) == "a a"
    assert await echo.say(times=3, word="a") == "a a a"
    with pytest.raises(TypeError, match="unexpected"):
        await echo.say("a", tmies=3)  # type: ignore[call-arg]


async def test_plain_callers_use_positions_or_names(site: BusHarness) -> None:
    await site.start(EchoModule, "echo")
    person = await site.person("alice", Role.OBSERVER)
    assert await call(person, "echo", "say", ["a", 2]) == "a a"
    assert await call(person, "echo", "say", {"word": "b"}) == "b"


async def test_structs_times_and_choices_arrive_as_they_were(site: BusHarness) -> None:
    await site.start(EchoModule, "echo")
    sent = Parcel(when=datetime(2026, 3, 1, 22, 0, 0, 123456, tzinfo=UTC), inner=(Parcel(when=datetime.now(UTC)),))
    got = await (await caller(site)).find(Echo).parcel(sent)
    assert (got.colour, got.inner) == (Colour.BLUE, (sent,))


async def test_an_unknown_number_is_none_and_never_nan(site: BusHarness) -> None:
    await site.start(EchoModule, "echo")
    with pytest.raises(InternalError, match="NaN"):
        await (await caller(site)).find(Echo).parcel(Parcel(when=datetime.now(UTC)), float("nan"))


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"wrod": "a"}, "wrod"),
        ({}, "word"),
        ({"word": 3}, "word"),
        ({"word": "a", "times": "two"}, "times"),
        (["a", 1, 2], "at most 2"),
    ],
)
async def test_a_wrong_parameter_is_named(site: BusHarness, params: Any, named: str) -> None:
    await site.start(EchoModule, "echo")
    person = await site.person("alice", Role.OBSERVER)
    with pytest.raises(InvalidParams, match=f"say.*{named}"):
        await call(person, "echo", "say", params)


async def test_a_number_out_of_range_is_refused(site: BusHarness) -> None:
    await site.start(EchoModule, "echo")
    with pytest.raises(InvalidParams, match="share"):
        await (await caller(site)).find(Echo).parcel(Parcel(when=datetime.now(UTC)), 1.5)


async def test_an_unknown_method_is_named_with_the_nearest(site: BusHarness) -> None:
    await site.start(EchoModule, "echo")
    person = await site.person("alice", Role.OBSERVER)
    with pytest.raises(MethodNotFound, match="did you mean say"):
        await call(person, "echo", "sya")
    for hidden in ("on_start", "__init__", "config", "find"):
        with pytest.raises(MethodNotFound):
            await call(person, "echo", hidden)


async def test_a_typed_error_arrives_as_its_class(site: BusHarness) -> None:
    await site.start(EchoModule, "echo")
    echo = (await caller(site)).find(Echo)
    with pytest.raises(OddError, match="odd") as caught:
        await echo.fail()
    assert caught.value.data == {"device": "echo"}
    with pytest.raises(InternalError, match="ZeroDivisionError"):
        await echo.fail(with_bug=True)
    assert await echo.say("still here") == "still here"


async def test_a_call_that_came_too_late_is_refused_and_not_executed(site: BusHarness) -> None:
    runtime = await site.start(WorkerModule, "worker")
    late = Call(
        method="work",
        params={"seconds": 0},
        caller=Sender(address="x", role=Role.MODULE),
        origin=origin("x"),
        expires=clock.real_time() - 0.1,
    )
    with pytest.raises(Expired):
        await runtime.handle_call(late)
    assert await (await caller(site)).find(Worker).work(0) == "worked for caller"


async def test_a_description_tells_methods_with_schema_unit_role_and_length(site: BusHarness) -> None:
    await site.start(WorkerModule, "worker")
    viewer = await site.person("alice", Role.VIEWER)
    document = await call(viewer, "worker", "rpc.discover")
    methods = {method["name"]: method for method in document["methods"]}
    assert methods["work"]["x-pytel"]["long"]
    assert "observer" in str(methods["work"])
    assert methods["work"]["params"][0]["schema"]["unit"] == "s"
    assert "urn:pytel:interface:Worker:1" in str(document)


# jobs


async def test_a_job_gives_its_result(site: BusHarness) -> None:
    await site.start(WorkerModule, "worker")
    assert await (await caller(site)).find(Worker).work(0.01) == "worked for caller"


async def test_a_job_can_be_watched_and_awaited_twice(site: BusHarness) -> None:
    await site.start(WorkerModule, "worker")
    job = (await caller(site)).find(Worker).work(0.3)
    eta = await job.eta()
    assert eta is not None
    assert 0 < eta <= 0.3
    await asyncio.sleep(0.12)
    progress = await job.progress()
    assert progress is not None
    assert 0.1 <= progress <= 0.8
    assert await job == "worked for caller"
    assert await job == "worked for caller"
    assert await job.eta() == 0
    assert await job.progress() == 1


async def test_a_plain_caller_polls_waits_and_lists(site: BusHarness) -> None:
    await site.start(WorkerModule, "worker")
    person = await site.person("alice", Role.OBSERVER)
    started = await call(person, "worker", "work", [0.5])
    assert started["eta"] == pytest.approx(0.5, abs=0.25)
    job = started["job"]
    assert (await call(person, "worker", "job.status", [job]))["status"] == "running"
    assert (await call(person, "worker", "job.wait", {"job": job, "timeout": 0}))["status"] == "running"
    report = await call(person, "worker", "job.wait", {"job": job, "timeout": 5})
    assert (report["status"], report["result"], report["origin"]) == ("done", "worked for alice", "alice")
    assert [entry["job"] for entry in await call(person, "worker", "job.list")] == [job]
    with pytest.raises(NotFound):
        await call(person, "worker", "job.status", ["01NONE"])


async def test_a_failure_arrives_as_its_class(site: BusHarness) -> None:
    await site.start(WorkerModule, "worker")
    with pytest.raises(OddError) as caught:
        await (await caller(site)).find(Worker).stumble()
    assert caught.value.data == {"device": "worker"}


async def test_a_job_fails_with_timeout_at_its_deadline(site: BusHarness) -> None:
    await site.start(WorkerModule, "worker")
    with pytest.raises(Timeout, match="dawdle"):
        await (await caller(site)).find(Worker).dawdle()


async def test_a_callers_deadline_cancels_the_job(site: BusHarness) -> None:
    runtime = await site.start(WorkerModule, "worker")
    with pytest.raises(Timeout, match=r"Worker\.work"):
        await (await caller(site)).find(Worker, deadline=0.05).work(20)
    assert ended(runtime.module) == "cancelled"


def ended(module: Module) -> str:
    assert isinstance(module, WorkerModule)
    return module.ended


async def test_a_job_can_be_cancelled(site: BusHarness) -> None:
    runtime = await site.start(WorkerModule, "worker")
    worker = (await caller(site)).find(Worker)
    job = worker.work(20)
    await job.eta()
    await job.cancel()
    assert ended(runtime.module) == "cancelled"
    with pytest.raises(Cancelled):
        await job
    assert await worker.work(0) == "worked for caller"


async def test_cancelling_the_await_cancels_the_job(site: BusHarness) -> None:
    runtime = await site.start(WorkerModule, "worker")
    worker = (await caller(site)).find(Worker)

    async def use() -> str:
        return await worker.work(20)

    task = asyncio.create_task(use())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended(runtime.module) == "cancelled"


async def test_cancelling_before_the_job_has_begun_leaves_nothing_running(site: BusHarness) -> None:
    runtime = await site.start(WorkerModule, "worker")
    worker = (await caller(site)).find(Worker)

    async def use() -> str:
        return await worker.work(20)

    task = asyncio.create_task(use())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    person = await site.person("alice", Role.OBSERVER)
    await until(lambda: ended(runtime.module) in ("", "cancelled"))
    assert {entry["status"] for entry in await call(person, "worker", "job.list")} <= {"cancelled"}


async def test_a_device_does_one_thing_at_a_time_and_says_for_whom_and_until_when(site: BusHarness) -> None:
    await site.start(WorkerModule, "worker")
    worker = (await caller(site)).find(Worker)
    job = worker.work(0.2)
    await job.eta()
    with pytest.raises(Busy, match="caller") as caught:
        await (await caller(site, "other")).find(Worker).work(0.1)
    assert caught.value.data["by"] == "caller"
    assert caught.value.data["method"] == "work"
    until_when = datetime.fromisoformat(caught.value.data["until"])
    assert abs((until_when - datetime.now(UTC)).total_seconds()) < 1
    assert await job == "worked for caller"
    assert await worker.work(0) == "worked for caller"


async def test_a_method_that_queues_waits_its_turn(site: BusHarness) -> None:
    await site.start(WorkerModule, "worker")
    worker = (await caller(site)).find(Worker)
    first = worker.work(0.05)
    await first.eta()
    results: list[int] = []

    async def queue(number: int) -> None:
        await worker.queue(0.01)
        results.append(number)

    await asyncio.gather(*(queue(number) for number in range(4)))
    assert sorted(results) == [0, 1, 2, 3]
    assert await first == "worked for caller"


async def test_cancelling_a_job_that_still_queues_does_not_disturb_the_others(site: BusHarness) -> None:
    await site.start(WorkerModule, "worker")
    worker = (await caller(site)).find(Worker)
    first, second, third = worker.work(0.1), worker.queue(0), worker.queue(0)
    await first.eta()
    await second.eta()
    await second.cancel()
    assert await first == "worked for caller"
    assert await third == "queued for caller"


async def test_the_same_call_id_starts_one_job(site: BusHarness) -> None:
    await site.start(WorkerModule, "worker")
    alice, bob = await site.person("alice", Role.OBSERVER), await site.person("bob", Role.OBSERVER)
    call_id = ids.new_id()
    first = await call(alice, "worker", "work", [0.1], call_id=call_id)
    again = await call(alice, "worker", "work", [0.1], call_id=call_id)
    assert first["job"] == again["job"]
    with pytest.raises(Busy):
        await call(bob, "worker", "work", [0.1], call_id=call_id)
    await call(alice, "worker", "job.wait", [first["job"]])
    over = await call(alice, "worker", "work", [0.1], call_id=call_id)
    assert over["job"] == first["job"]


async def test_a_retry_that_reaches_another_start_does_nothing(site: BusHarness) -> None:
    await site.start(WorkerModule, "worker")
    alice = await site.person("alice", Role.OBSERVER)
    with pytest.raises(JobLost):
        await call(alice, "worker", "work", [0], call_id=ids.new_id(), boot="yesterday")
    assert await call(alice, "worker", "job.list") == []


@pytest.mark.usefixtures("impatient")
async def test_a_job_of_a_module_that_crashes_is_lost(site: BusHarness) -> None:
    await site.start(WorkerModule, "worker")
    job = (await caller(site)).find(Worker).work(20)
    await job.eta()
    await site.crash("worker")
    with pytest.raises(JobLost, match="worker"):
        await job


async def test_a_job_of_a_module_that_crashed_and_restarted_is_lost(site: BusHarness) -> None:
    await site.start(WorkerModule, "worker")
    job = (await caller(site)).find(Worker).work(20)
    await job.eta()
    await site.crash("worker")
    await site.start(WorkerModule, "worker")
    with pytest.raises(JobLost, match="worker"):
        async with asyncio.timeout(20):
            await job


async def test_a_module_that_stops_cancels_its_jobs(site: BusHarness) -> None:
    runtime = await site.start(WorkerModule, "worker")
    job = (await caller(site)).find(Worker).work(20)
    await job.eta()
    waiting = asyncio.create_task(result(job))
    await asyncio.sleep(0.02)
    await site.stop("worker")
    assert ended(runtime.module) == "cancelled"
    with pytest.raises((Cancelled, JobLost)):
        async with asyncio.timeout(25):
            await waiting


async def result(job: Any) -> Any:
    return await job


async def test_a_job_goes_on_while_the_bus_is_down(site: BusHarness) -> None:
    runtime = await site.start(WorkerModule, "worker")
    job = (await caller(site)).find(Worker).work(0.3)
    await job.eta()
    waiting = asyncio.create_task(result(job))
    await asyncio.sleep(0.05)
    await site.stop_bus()
    await until(lambda: ended(runtime.module))
    assert ended(runtime.module) == "done"
    await site.start_bus()
    async with asyncio.timeout(20):
        assert await waiting == "worked for caller"


async def test_jobs_begin_only_when_the_module_can_be_reached(site: BusHarness) -> None:
    await site.start(WorkerModule, "worker")
    worker = (await caller(site)).find(Worker)
    await site.stop_bus()
    with pytest.raises((ConnectionLost, ModuleNotFound)):
        async with asyncio.timeout(20):
            await worker.work(0)
    await site.start_bus()
    async with asyncio.timeout(20):
        assert await worker.work(0) == "worked for caller"


# states and events


async def test_a_late_comer_has_the_state_at_once(site: BusHarness) -> None:
    await site.start(EagerWorker, "worker")
    late = await caller(site)
    late.latest(WorkerState)
    await until(lambda: late.latest(WorkerState) == WorkerState(done=-1))
    listener = (await site.start(Listener, "listener")).module
    assert isinstance(listener, Listener)
    await until(lambda: listener.states == [("worker", -1)])


@pytest.mark.parametrize("how", ["stops", "crashes"])
async def test_a_state_goes_with_its_module(site: BusHarness, how: str) -> None:
    await site.start(EagerWorker, "worker")
    watcher = await caller(site)
    await until(lambda: watcher.latest(WorkerState) is not None)
    await (site.stop("worker") if how == "stops" else site.crash("worker"))
    await until(lambda: watcher.latest(WorkerState) is None)
    assert watcher.latest_all(WorkerState) == {}
    await site.start(EagerWorker, "worker")
    await until(lambda: watcher.latest(WorkerState) is not None)


async def test_module_states_tell_the_life_of_a_module(site: BusHarness) -> None:
    watcher = await site.person("watcher", Role.VIEWER)
    ear = Ear(watcher, Topic("state", "Module"))
    await site.start(WorkerModule, "worker")
    await until(lambda: any(data["status"] == "ready" for data in ear.data))
    await site.stop("worker")
    await until(lambda: ear.data[-1]["status"] == "closing")
    assert [data["status"] for data in ear.data] == ["starting", "ready", "closing"]
    assert ModuleState.__name__ == "ModuleState"


async def listener_and_worker(site: BusHarness) -> tuple[Listener, Worker]:
    await site.start(WorkerModule, "worker")
    listener = (await site.start(Listener, "listener")).module
    assert isinstance(listener, Listener)
    return listener, (await caller(site)).find(Worker)


async def test_handlers_hear_in_order_and_one_at_a_time(site: BusHarness) -> None:
    listener, worker = await listener_and_worker(site)
    listener.pause = 0.002
    for number in range(10):
        await worker.tell(number)
    await until(lambda: len(listener.events) == 10)
    assert listener.events == [("worker", number) for number in range(10)]
    assert listener.most_at_once == 1


async def test_a_handler_that_is_too_slow_loses_the_oldest_and_says_so(site: BusHarness) -> None:
    listener, worker = await listener_and_worker(site)
    errors = Ear(await site.person("watcher", Role.VIEWER), ERRORS)
    listener.pause = 1.0
    await worker.tell(0)
    await until(lambda: listener.running)
    listener.pause = 0.0
    for number in range(1, 31):
        await worker.tell(number)
    await until(lambda: listener.events and listener.events[-1][1] == 30)
    heard = [number for _, number in listener.events]
    assert heard == [0, *range(21, 31)]
    assert any("worked" in data["error"]["message"] for data in errors.data)


async def test_of_states_a_slow_handler_gets_the_newest(site: BusHarness) -> None:
    listener, worker = await listener_and_worker(site)
    listener.pause = 0.5
    await worker.tell(0)
    await until(lambda: listener.running or listener.states)
    for number in range(1, 31):
        await worker.tell(number)
    await until(lambda: listener.states and listener.states[-1][1] == 30)
    assert len(listener.states) == 2


async def test_an_error_in_a_handler_is_told_and_the_module_lives_on(site: BusHarness) -> None:
    listener, worker = await listener_and_worker(site)
    watcher = await site.person("watcher", Role.VIEWER)
    errors, states = Ear(watcher, ERRORS), Ear(watcher, Topic("state", "Module"))
    await worker.tell(-1)
    await until(lambda: errors.heard)
    assert errors.heard[0].publisher == listener.address
    assert errors.data[0]["error"]["name"] == "PytelError"
    assert "negative" in errors.data[0]["error"]["message"]
    await until(lambda: status_of(states, "listener") == "error")
    await worker.tell(1)
    await until(lambda: listener.events == [("worker", 1)])
    await until(lambda: status_of(states, "listener") == "ready")


def status_of(states: Ear, module: str) -> str | None:
    found = [heard.data["status"] for heard in states.heard if str(heard.publisher) == module]
    return found[-1] if found else None


async def test_old_events_are_not_heard_by_who_starts_later(site: BusHarness) -> None:
    await site.start(WorkerModule, "worker")
    worker = (await caller(site)).find(Worker)
    await worker.tell(1)
    listener = (await site.start(Listener, "listener")).module
    assert isinstance(listener, Listener)
    await worker.tell(2)
    await until(lambda: listener.events)
    await quiet()
    assert listener.events == [("worker", 2)]


async def test_capabilities_are_asked_for_by_class(site: BusHarness) -> None:
    asker = await caller(site)
    with pytest.raises(ModuleNotFound):
        await asker.capabilities_of(WorkerCapabilities)
    await site.start(WorkerModule, "worker")
    assert await asker.capabilities_of(WorkerCapabilities) == WorkerCapabilities(hands=2)


# who may what


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.VIEWER, {"whoami"}),
        (Role.OBSERVER, {"whoami", "say", "steer"}),
        (Role.OPERATOR, {"whoami", "say", "steer", "operate"}),
        (Role.MODULE, {"whoami", "say", "steer", "operate", "between_modules"}),
        (Role.ADMIN, {"whoami", "say", "steer", "operate", "between_modules"}),
    ],
)
async def test_each_role_may_do_what_those_before_it_may(site: BusHarness, role: Role, allowed: set[str]) -> None:
    await site.start(EchoModule, "echo")
    person = await site.person("alice", role)
    found = set()
    for method in ("whoami", "say", "steer", "operate", "between_modules"):
        try:
            await call(person, "echo", method, ["a"] if method == "say" else [])
            found.add(method)
        except NotAllowed:
            continue
    assert found == allowed


async def test_only_a_proxy_speaks_with_the_role_of_its_origin(site: BusHarness) -> None:
    await site.start(EchoModule, "echo")
    gateway = await proxy(site)
    assert await call(gateway, "echo", "whoami", origin=origin("alice", Role.VIEWER)) == "alice as viewer"
    with pytest.raises(NotAllowed, match="alice"):
        await call(gateway, "echo", "operate", origin=origin("alice", Role.OBSERVER))
    await call(gateway, "echo", "operate", origin=origin("bob", Role.OPERATOR))
    cheat = await site.person("mallory", Role.VIEWER)
    with pytest.raises(NotAllowed, match="mallory"):
        await call(cheat, "echo", "operate", origin=origin("admin", Role.ADMIN))


async def proxy(site: BusHarness) -> Bus:
    bus = site.bus("gateway", is_proxy=True)

    await bus.open(Endpoint(), Card(interfaces=(), boot="g"))
    return bus


async def test_viewers_and_people_cannot_claim_another_origin(site: BusHarness) -> None:
    await site.start(EchoModule, "echo")
    cheat = await site.person("mallory", Role.OBSERVER)
    assert await call(cheat, "echo", "whoami", origin=origin("alice")) == "mallory as observer"


async def test_the_origin_goes_through_a_chain_of_calls_and_jobs(site: BusHarness) -> None:
    await site.start(EchoModule, "echo")
    await site.start(RelayModule, "relay")
    gateway = await proxy(site)
    assert await call(gateway, "relay", "ask", origin=origin("alice")) == "alice as observer"
    job = await call(gateway, "relay", "ask_slowly", origin=origin("bob"))
    report = await call(gateway, "relay", "job.wait", [job["job"]], origin=origin("bob"))
    assert report["result"] == "bob as observer"
    assert await (await caller(site)).find(Relay).ask() == "caller as module"
    assert await (await caller(site, "second")).find(Echo).whoami() == "second as module"


async def test_who_holds_the_lease_moves_and_others_do_not(site: BusHarness) -> None:
    await site.start(LeaseControl, "control")
    await site.start(EchoModule, "echo")
    await site.start(WorkerModule, "worker")
    alice, bob = await caller(site, "alice"), await caller(site, "bob")
    await bob.find(Echo).steer()
    await alice.find(Control).take()
    await until(lambda: all_know(site, "alice"))
    with pytest.raises(ControlHeld, match="alice") as caught:
        await bob.find(Echo).steer()
    assert caught.value.data["holder"] == "alice"
    with pytest.raises(ControlHeld):
        await bob.find(Worker).move()
    with pytest.raises(ControlHeld):
        await bob.find(Control).take()
    await alice.find(Echo).steer()
    await alice.find(Worker).move()
    assert await bob.find(Echo).say("needs no lease") == "needs no lease"
    await alice.find(Control).release()
    await until(lambda: all_know(site, None))
    await bob.find(Echo).steer()


def all_know(site: BusHarness, holder: str | None, group: str | None = None) -> bool:
    """Whether all modules (of one group) have heard who holds the lease."""
    members = [runtime for runtime in site.runtimes.values() if group in (None, runtime.address.group)]
    return all(runtime._lease.holder() == holder for runtime in members)


# several telescopes


async def two_groups(site: BusHarness) -> None:
    for address in ("north.worker", "south.worker", "north.echo", "south.echo"):
        await site.start(WorkerModule if "worker" in address else EchoModule, address)


async def test_each_group_sees_its_own_and_the_shared_modules(site: BusHarness) -> None:
    await two_groups(site)
    await site.start(RelayModule, "relay")
    south = await caller(site, "south.caller")
    assert str(south.address_of(south.find(Worker))) == "south.worker"
    assert str(south.address_of(south.find(Relay))) == "relay"
    assert [str(south.address_of(proxy)) for proxy in south.find_all(Worker)] == ["south.worker"]
    assert str(south.address_of(south.find(Worker, group="north"))) == "north.worker"
    shared = await caller(site, "caller")
    assert not shared.has(Worker)
    with pytest.raises(ModuleNotFound, match="Worker"):
        await shared.find(Worker).work(0)


async def test_events_and_states_of_another_group_are_not_heard(site: BusHarness) -> None:
    await two_groups(site)
    listener = (await site.start(Listener, "south.listener")).module
    assert isinstance(listener, Listener)
    north, south = await caller(site, "north.caller"), await caller(site, "south.caller")
    await north.find(Worker).tell(1)
    await south.find(Worker).tell(2)
    await until(lambda: listener.events and listener.states)
    await quiet()
    assert listener.events == [("south.worker", 2)]
    assert listener.states == [("south.worker", 2)]
    await until(lambda: south.latest(WorkerState) == WorkerState(done=2))
    assert [str(address) for address in south.latest_all(WorkerState)] == ["south.worker"]


async def test_where_two_could_answer_and_nothing_decides_both_are_named(site: BusHarness) -> None:
    await site.start(WorkerModule, "one")
    await site.start(WorkerModule, "two")
    asker = await caller(site)
    with pytest.raises(AmbiguousModule, match="one and two"):
        await asker.find(Worker).work(0)
    with pytest.raises(AmbiguousModule):
        asker.latest(WorkerState)
    assert await asker.find(Worker, name="two").work(0) == "worked for caller"
    assert len(asker.find_all(Worker)) == 2


async def test_primary_or_uses_decide(site: BusHarness) -> None:
    await site.start(WorkerModule, "one")
    await site.start(WorkerModule, "two", primary=True)
    plain = await caller(site)
    assert str(plain.address_of(plain.find(Worker))) == "two"
    choosy = await caller(site, "choosy", uses={"Worker": "one"})
    assert str(choosy.address_of(choosy.find(Worker))) == "one"
    await site.stop("one")
    await until(lambda: len(plain.find_all(Worker)) == 1)
    with pytest.raises(ModuleNotFound, match="one"):
        await choosy.find(Worker).work(0)


async def test_ones_own_group_comes_before_the_shared_modules(site: BusHarness) -> None:
    await site.start(WorkerModule, "spare")
    await site.start(WorkerModule, "south.worker")
    south = await caller(site, "south.caller")
    assert str(south.address_of(south.find(Worker))) == "south.worker"


async def test_a_lease_belongs_to_its_group(site: BusHarness) -> None:
    await two_groups(site)
    for group in ("north", "south"):
        await site.start(LeaseControl, f"{group}.control")
    south, other, north = [await caller(site, address) for address in ("south.a", "south.b", "north.c")]
    await south.find(Control).take()
    await until(lambda: all_know(site, "south.a", "south"))
    with pytest.raises(ControlHeld):
        await other.find(Echo).steer()
    await north.find(Echo).steer()


async def test_a_module_that_starts_later_is_found_by_a_proxy_made_before(site: BusHarness) -> None:
    asker = await caller(site)
    echo = asker.find(Echo)
    with pytest.raises(ModuleNotFound):
        await echo.say("a")
    await site.start(EchoModule, "echo")
    await until(lambda: asker.has(Echo))
    assert await echo.say("a") == "a"
    await site.crash("echo")
    await until(lambda: not asker.has(Echo))
    with pytest.raises(ModuleNotFound):
        await echo.say("a")
