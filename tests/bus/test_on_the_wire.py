"""What a description and a value look like to a peer that knows nothing of pytel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import jsonschema
import pytest

from bus.cast import Caller, EchoModule, Worker, WorkerModule
from bus.harness import BusHarness, Endpoint, call
from pytel.base.errors import InternalError, ModuleNotFound
from pytel.bus.contract import Card
from pytel.module.rpc import to_builtins


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


async def test_a_description_holds_together(site: BusHarness) -> None:
    await site.start(WorkerModule, "worker")
    await site.start(EchoModule, "echo")
    caller = await site.member("caller")
    for address in ("worker", "echo"):
        document = await call(caller, address, "rpc.discover")
        for reference in references(document):
            found: Any = document
            for part in reference.removeprefix("#/").split("/"):
                found = found[part]
            assert found
        for method in document["methods"]:
            for schema in [parameter["schema"] for parameter in method["params"]] + [method["result"]["schema"]]:
                jsonschema.Draft202012Validator.check_schema(schema)


async def test_a_description_tells_what_may_go_wrong(site: BusHarness) -> None:
    await site.start(WorkerModule, "worker")
    document = await call(await site.member("caller"), "worker", "rpc.discover")
    methods = {method["name"]: method for method in document["methods"]}
    errors = {name: {error["$ref"].rpartition("/")[2] for error in methods[name]["errors"]} for name in methods}
    assert errors["work"] >= {"Busy", "Cancelled", "Timeout", "InvalidParams", "NotAllowed", "NotReady"}
    assert "ControlHeld" in errors["move"]
    assert "Busy" not in errors["queue"] | errors["tell"]
    assert document["components"]["errors"]["Busy"]["code"] == -32005


async def test_a_module_of_another_version_is_told(site: BusHarness) -> None:
    caller = await site.start(Caller, "caller")
    urn = Worker.urn().removesuffix(":1") + ":2"
    await site.member("newer", Endpoint(), Card(interfaces=(urn,), boot="1"))
    with pytest.raises(ModuleNotFound, match="newer offers version 2"):
        await caller.module.find(Worker).tell(1)


@pytest.mark.parametrize(
    ("time", "written"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000000Z"),
        (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T01:04:05.000006Z"),
    ],
)
def test_times_travel_as_utc_with_microseconds(time: datetime, written: str) -> None:
    assert to_builtins({"a": [(time,)]}) == {"a": [[written]]}


def test_a_time_without_zone_does_not_travel() -> None:
    with pytest.raises(InternalError, match="no time zone"):
        to_builtins([datetime(2026, 1, 2, tzinfo=UTC).replace(tzinfo=None)])


def test_a_nan_hides_nowhere() -> None:
    with pytest.raises(InternalError, match="None"):
        to_builtins({"a": (1.0, [math.nan])})
