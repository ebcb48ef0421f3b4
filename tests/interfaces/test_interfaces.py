"""The rules that every interface keeps, so that descriptions, forms and docs can be made from them."""

from __future__ import annotations

import enum
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import msgspec.inspect as mi
import pytest

import pytel.interfaces
from pytel.base.errors import PytelError
from pytel.bus.contract import Role
from pytel.module import Capabilities, Event, Interface, State, Struct
from pytel.module.interface import methods_of
from pytel.module.messages import topic_of

PUBLIC: dict[str, Any] = {name: getattr(pytel.interfaces, name) for name in pytel.interfaces.__all__}
CLASSES = [member for member in PUBLIC.values() if isinstance(member, type)]
INTERFACES: list[Any] = [kind for kind in CLASSES if issubclass(kind, Interface)]
STRUCTS = [kind for kind in CLASSES if issubclass(kind, Struct)]
METHODS = [pytest.param(kind, name, id=f"{kind.__name__}.{name}") for kind in INTERFACES for name in methods_of(kind)]

ASKED_FOR = """
Telescope Camera Focuser FilterWheel Rotator Enclosure WeatherStation SafetyMonitor CoverCalibrator AutoFocus AutoGuider
Acquisition FlatField FitsHeaderProvider ImageStore ImageArchive Reduction TaskStore Scheduler Observer Control Switch
GuidePort Notifier
"""

DIMENSIONLESS = {"Task.priority"}
"""Numbers whose docstring says what they count."""


def test_every_interface_of_an_observatory_is_there() -> None:
    assert {kind.__name__ for kind in INTERFACES} >= set(ASKED_FOR.split())


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_public_class_says_what_it_is_for(kind: type) -> None:
    doc = inspect.getdoc(kind) or ""
    assert kind.__dict__.get("__doc__"), kind
    assert doc.splitlines()[0].rstrip().endswith((".", ":")), doc


@pytest.mark.parametrize("kind", INTERFACES, ids=lambda kind: kind.__name__)
def test_states_events_and_capabilities_are_named_after_their_interface(kind: Any) -> None:
    assert kind.version >= 1
    assert kind.urn() == f"urn:pytel:interface:{kind.__name__}:{kind.version}"
    if kind.state is not None:
        assert topic_of(kind.state).kind == "state"
        assert kind.state.__name__ in (f"{kind.__name__}State", f"{kind.__name__.removesuffix('Station')}State")
    if kind.capabilities_type is not None:
        assert kind.capabilities_type.__name__ == f"{kind.__name__}Capabilities"
    assert all(issubclass(event, Event) for event in kind.events)


@pytest.mark.parametrize("kind", INTERFACES, ids=lambda kind: kind.__name__)
def test_every_async_method_of_an_interface_can_be_called_over_a_bus(kind: Any) -> None:
    public = {name for name, member in vars(kind).items() if not name.startswith("_") and inspect.isfunction(member)}
    assert public == {name for name in methods_of(kind) if name in vars(kind)}


@pytest.mark.parametrize(("kind", "name"), METHODS)
def test_every_method_is_documented_and_not_implemented(kind: Any, name: str) -> None:
    method = methods_of(kind)[name]
    assert method.doc.splitlines()[0].rstrip().endswith((".", ":"))
    assert isinstance(method.role, Role)
    assert "raise NotImplementedError" in inspect.getsource(inspect.unwrap(getattr(kind, name)))


@pytest.mark.parametrize(("kind", "name"), METHODS)
def test_every_method_has_a_json_schema_with_units(kind: Any, name: str) -> None:
    method = methods_of(kind)[name]
    for what, python_type in (("parameters", method.params), ("result", method.result)):
        schema = msgspec.json.schema(python_type)
        json.dumps(schema)
        assert set(_without_unit(f"{kind.__name__}.{name}() {what}", mi.type_info(python_type))) <= DIMENSIONLESS


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_every_struct_has_a_json_schema_and_every_quantity_a_unit(kind: type[Struct]) -> None:
    json.dumps(msgspec.json.schema(kind))
    assert not [path for path in _without_unit(kind.__name__, mi.type_info(kind)) if path not in DIMENSIONLESS]


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_every_struct_is_frozen_and_takes_what_a_newer_peer_sends(kind: type[Struct]) -> None:
    config = kind.__struct_config__
    assert config.frozen
    assert not config.forbid_unknown_fields
    if issubclass(kind, State | Event):
        assert re.fullmatch(r"urn:pytel:(state|event):\w+:\d+", str(topic_of(kind)))


def test_every_state_event_and_capabilities_class_belongs_to_an_interface() -> None:
    used = {part for kind in INTERFACES for part in (kind.state, kind.capabilities_type, *kind.events)}
    loose = [kind for kind in STRUCTS if issubclass(kind, State | Event | Capabilities) and kind not in used]
    assert loose == []


def test_every_error_of_an_interface_crosses_a_bus_with_its_name() -> None:
    errors = [kind for kind in CLASSES if issubclass(kind, PytelError)]
    assert {"FocusFailed", "AcquisitionFailed", "FlatFieldFailed", "GuidingLost"} <= {kind.__name__ for kind in errors}
    for kind in errors:
        restored = PytelError.from_wire(kind("a sentence", device="camera").to_wire())
        assert type(restored) is kind
        assert restored.data == {"device": "camera"}


def test_every_choice_is_a_word() -> None:
    for kind in CLASSES:
        if issubclass(kind, enum.Enum):
            assert all(re.fullmatch(r"[a-z][a-z ]*", member.value) for member in kind), kind


def test_importing_all_interfaces_is_cheap_and_drags_in_nothing_heavy() -> None:
    script = (
        "import sys, time; before = time.process_time(); import pytel.interfaces; "
        "took = time.process_time() - before; "
        "heavy = {'numpy', 'astropy', 'erfa', 'sqlalchemy', 'rich', 'typer', 'scipy'} & set(sys.modules); "
        "peak = next(int(line.split()[1]) / 1024 for line in open('/proc/self/status') if line.startswith('VmHWM')); "
        "print(took, peak, sorted(heavy))"
    )
    runs = [
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True) for _ in range(3)
    ]
    words = [run.stdout.split(maxsplit=2) for run in runs]
    assert min(float(took) for took, _, _ in words) < 0.15, "CPU seconds to import pytel.interfaces"
    assert min(float(peak) for _, peak, _ in words) < 35.0, "MiB"
    assert words[0][2].strip() == "[]"


def _without_unit(path: str, info: mi.Type, unit: str | None = None) -> Iterator[str]:
    """Yield the path of each float below `info` that carries neither a unit nor a description."""
    if isinstance(info, mi.Metadata):
        extra = info.extra_json_schema or {}
        yield from _without_unit(path, info.type, extra.get("unit") or extra.get("description"))
    elif isinstance(info, mi.FloatType):
        if unit is None:
            yield path
    elif isinstance(info, mi.StructType):
        for field in info.fields:
            yield from _without_unit(f"{info.cls.__name__}.{field.name}", field.type)
    elif isinstance(info, mi.UnionType):
        words = any(isinstance(part, mi.StrType) for part in info.types)  # a header card's value may be anything
        for part in () if words else info.types:
            yield from _without_unit(path, part, unit)
    elif isinstance(info, mi.ListType | mi.VarTupleType):
        yield from _without_unit(f"{path} item", info.item_type)
    elif isinstance(info, mi.DictType):
        yield from _without_unit(f"{path} value", info.value_type)
