"""What a module says of itself: an OpenRPC 1.3 document with units, states, events and capabilities."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from pytel import __version__
from pytel.base.errors import error_class
from pytel.bus.contract import Builtin
from pytel.module.interface import Interface, interfaces_of, methods_of
from pytel.module.messages import Capabilities, Event, ModuleState, State, topic_of
from pytel.module.rpc import Method, to_builtins

_REF = "#/components/schemas/{name}"


def describe(address: str, kind: type, capabilities: Iterable[Capabilities], boot: str) -> Builtin:
    """Build the OpenRPC document of a module."""
    methods = list(methods_of(kind).values())
    interfaces = interfaces_of(kind)
    published = _published(interfaces)
    types = [method.result for method in methods] + [method.params for method in methods] + published
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    results, params = schemas[: len(methods)], schemas[len(methods) : 2 * len(methods)]
    return {
        "openrpc": "1.3.2",
        "info": {"title": address, "version": __version__, "description": inspect.getdoc(kind) or ""},
        "methods": [
            _method(method, _resolved(parameters, components), result)
            for method, parameters, result in zip(methods, params, results, strict=True)
        ],
        "components": {"schemas": components, "errors": _errors(methods)},
        "x-pytel": {
            "boot": boot,
            "type": f"{kind.__module__}:{kind.__qualname__}",
            "interfaces": [interface.urn() for interface in interfaces],
            "publishes": {
                str(topic_of(message)): schema
                for message, schema in zip(published, schemas[2 * len(methods) :], strict=True)
            },
            "capabilities": {type(item).__name__: to_builtins(item) for item in capabilities},
        },
    }


def _published(interfaces: Iterable[type[Interface]]) -> list[Any]:
    found: list[type[State] | type[Event]] = [ModuleState]
    for interface in interfaces:
        found += [*([interface.state] if interface.state else []), *interface.events]
    return list(dict.fromkeys(found))


def _resolved(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    resolved: dict[str, Any] = components.pop(name) if name else schema
    return resolved


_ALWAYS_POSSIBLE = ("Expired", "InvalidParams", "NotAllowed")
_RAISES = re.compile(r"[Rr]aises\b[^.]*")
_NAME = re.compile(r"`(\w+)`")


def _errors_of(method: Method) -> list[str]:
    """The errors that a caller may meet: those of every method, of its options, and those that its text names."""
    names = {*_ALWAYS_POSSIBLE}
    names |= set() if method.options.always else {"NotReady"}
    names |= {"ControlHeld"} if method.options.control else set()
    names |= {"Busy"} if method.options.exclusive and not method.options.queues else set()
    names |= {"Cancelled", "Timeout"} if method.options.long else set()
    for sentence in _RAISES.findall(method.doc):
        names |= {name for name in _NAME.findall(sentence) if error_class(name)}
    return sorted(names)


def _errors(methods: Iterable[Method]) -> dict[str, Any]:
    names = sorted({name for method in methods for name in _errors_of(method)})
    known = {name: kind for name in names if (kind := error_class(name))}
    return {
        name: {"code": kind.code, "message": inspect.getdoc(kind) or name, "data": {"name": name}}
        for name, kind in known.items()
    }


def _method(method: Method, params: dict[str, Any], result: dict[str, Any]) -> Builtin:
    required = params.get("required", [])
    return {
        "name": method.name,
        "summary": method.doc.partition("\n")[0],
        "description": method.doc,
        "params": [
            {"name": name, "required": name in required, "schema": schema}
            for name, schema in params.get("properties", {}).items()
        ],
        "result": {"name": "result", "schema": result},
        "errors": [{"$ref": f"#/components/errors/{name}"} for name in _errors_of(method)],
        "x-pytel": {
            "interface": method.interface,
            "role": method.role.value,
            "long": bool(method.options.long),
            "control": bool(method.options.control),
            "exclusive": method.options.exclusive,
            "queues": bool(method.options.queues),
        },
    }
