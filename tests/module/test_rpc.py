from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from pytel.base.errors import InvalidParams, NotFound
from pytel.base.location import Location
from pytel.base.units import Degrees
from pytel.bus.address import Address
from pytel.bus.contract import CallOptions
from pytel.bus.local import LocalHub
from pytel.module.module import Module
from pytel.module.rpc import Method, RpcOptions, method_of
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo


class Target(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    ra: Degrees = 0.0


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    rows: int = 1
    columns: int = 1


async def move(self: Any, alt: Degrees, az: Degrees = 180.0, name: str | None = None) -> None: ...
async def park(self: Any) -> None: ...
async def follow(self: Any, target: Target, rate: float = 1.0) -> None: ...
async def mosaic(self: Any, grid: Grid | None = None, steps: int = 1) -> None: ...
async def write(self: Any, cards: Annotated[dict[str, Any], "FITS"], name: str = "x") -> None: ...
async def note(self: Any, value: Any) -> None: ...


def method(function: Any) -> Method:
    return method_of(function.__name__, function, "Test", RpcOptions())


@pytest.mark.parametrize(
    ("function", "params", "parsed"),
    [
        (move, [30.0], {"alt": 30.0, "az": 180.0, "name": None}),
        (move, [30.0, 90], {"alt": 30.0, "az": 90.0, "name": None}),
        (move, [30.0, 90, "x"], {"alt": 30.0, "az": 90.0, "name": "x"}),
        (move, {"alt": 30.0}, {"alt": 30.0, "az": 180.0, "name": None}),
        (move, [{"alt": 30.0, "name": "x"}], {"alt": 30.0, "az": 180.0, "name": "x"}),
        (park, [], {}),
        (park, [{}], {}),
        (follow, [{"name": "M 31"}], {"target": Target(name="M 31"), "rate": 1.0}),
        (follow, [{"target": {"name": "M 31"}, "rate": 2}], {"target": Target(name="M 31"), "rate": 2.0}),
        (follow, [{"name": "M 31", "epoch": 2000}], {"target": Target(name="M 31"), "rate": 1.0}),
        (mosaic, [{"rows": 2}], {"grid": Grid(rows=2), "steps": 1}),
        (mosaic, [{"steps": 2}], {"grid": None, "steps": 2}),
        (mosaic, [{"grid": {"rows": 2}, "steps": 2}], {"grid": Grid(rows=2), "steps": 2}),
        (mosaic, [{}], {"grid": Grid(), "steps": 1}),
        (write, [{"cards": {"A": 1}}], {"cards": {"cards": {"A": 1}}, "name": "x"}),
        (note, [{"value": 1}], {"value": {"value": 1}}),
        (note, {"value": 1}, {"value": 1}),
    ],
)
def test_parameters_come_by_position_by_name_and_as_one_struct(
    function: Any, params: list[Any] | dict[str, Any], parsed: Mapping[str, Any]
) -> None:
    assert method(function).parse(params) == parsed


@pytest.mark.parametrize(
    ("function", "params", "message"),
    [
        (move, [], "alt"),
        (move, [1, 2, "x", 4], "at most 3"),
        (move, [{"alt": 30.0, "azimut": 1}], "azimut"),
        (move, [{}], "alt"),
        (move, [{"alt": 30.0}, 90], "alt"),
        (move, ["30"], "alt"),
        (park, [1], "at most 0"),
        (park, [{"a": 1}], "'a'"),
        (follow, [{"rate": 2}], "target"),
        (follow, [{"epoch": 2000}], "name"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(function: Any, params: Any, message: str) -> None:
    with pytest.raises(InvalidParams, match=message):
        method(function).parse(params)


@pytest.mark.parametrize(
    "params", [["none"], ["none", 0.0], {"job": "none"}, [{"job": "none"}], [{"job": "none", "timeout": 0}]]
)
async def test_jobs_are_named_in_all_these_ways(params: Any) -> None:
    site = SiteInfo(
        name="test", location=Location(latitude=0, longitude=0), seed=1, state_dir=Path("unused"), simulation=None
    )
    runtime = ModuleRuntime(Module, site=site, bus=LocalHub().bus(Address("idle")))
    await runtime.start()
    try:
        with pytest.raises(NotFound, match="none"):
            await runtime.bus.call(Address("idle"), "job.wait", params, CallOptions())
    finally:
        await runtime.stop()
