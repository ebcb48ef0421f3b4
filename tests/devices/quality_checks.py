"""The rules of the quality scale that code can judge, as functions that give what is wrong."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from pytel.base.errors import PytelError
from pytel.devices.alpaca.device import AlpacaDriver
from pytel.devices.indi.device import IndiDriver
from pytel.devices.quality import Scale
from pytel.interfaces.indi import IndiProperties
from pytel.module.config import ModuleConfig
from pytel.module.sitefile import parse_site
from pytel.module.yaml_lines import read_yaml
from pytel.testing.observatory import default_site

ROOT = Path(__file__).parents[2]
SET_UP = {"ConfigError", "ConnectionLost", "NotReady", "DeviceError", "DeviceTimeout"}
SET_UP_METHODS = ("on_start", "connect", "read_capabilities", "on_connect", "connect_device")
BLOCKING = {
    "open",
    "input",
    "time.sleep",
    "os.system",
    "os.popen",
    "socket.create_connection",
    "urllib.request.urlopen",
}
BLOCKING_MODULES = ("requests", "subprocess", "httpx", "shutil")
BLOCKING_METHODS = {"read_text", "write_text", "read_bytes", "write_bytes", "mkdir", "unlink", "iterdir", "glob"}
DEADLINES = {"connect_time", "answer_time"}
_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.S | re.M)


def drivers(scale: Scale) -> dict[str, type[Any]]:
    """The drivers of real hardware among the entry points."""
    packages = tuple(f"{family.package}." for family in scale.families.values())
    points = entry_points(group="pytel.modules")
    return {point.name: point.load() for point in points if point.value.startswith(packages)}


def page_of(scale: Scale, name: str) -> str:
    return (ROOT / "docs" / scale.drivers[name].page).read_text(encoding="utf-8")


def examples(page: str) -> list[dict[str, Any]]:
    """The modules that a page shows, by block."""
    shown = []
    for text in _BLOCK.findall(page):
        described = read_yaml(text, "page").value
        if isinstance(described, dict):
            modules = described.get("modules", described)
            shown.append({key: value for key, value in modules.items() if isinstance(value, dict) and "type" in value})
    return shown


def strict_config(scale: Scale, name: str, kind: type[Any]) -> Iterator[str]:
    config = kind.Config
    if not issubclass(config, ModuleConfig) or not config.__struct_config__.forbid_unknown_fields:
        yield f"{config} takes keys that it does not know"


def documented_config(scale: Scale, name: str, kind: type[Any]) -> Iterator[str]:
    text = page_of(scale, name) + (ROOT / "docs" / scale.family(name).page).read_text(encoding="utf-8")
    told = _field_docs(kind.Config)
    for field in kind.Config.__struct_fields__:
        if field not in told and not re.search(rf"`{field}`|`{field}:|^\s*{field}:|[{{,] ?{field}:", text, re.M):
            yield f"{field} is explained nowhere"


def page(scale: Scale, name: str, kind: type[Any]) -> Iterator[str]:
    if not (ROOT / "docs" / scale.drivers[name].page).exists():
        yield "it has no page"


def known_limits(scale: Scale, name: str, kind: type[Any]) -> Iterator[str]:
    if not re.search(r"^## Known limits\n\n- ", page_of(scale, name), re.M):
        yield "its page has no known limits"


def example(scale: Scale, name: str, kind: type[Any]) -> Iterator[str]:
    shown = [block for block in examples(page_of(scale, name)) if any(one["type"] == name for one in block.values())]
    if not shown:
        yield "its page has no example"
    for block in shown:
        site = default_site()
        mine = {key: value for key, value in block.items() if value["type"] == name}
        types = {value["type"].partition("-")[2] for value in mine.values()}
        kept = {
            key: value
            for key, value in site["modules"].items()
            if key not in mine and str(value["type"]).partition("-")[2] not in types
        }
        _, faults = parse_site(site | {"modules": kept | mine}, directory=ROOT)
        yield from (fault.message for fault in faults if any(fault.message.startswith(f"{key}:") for key in mine))


def typed_errors(scale: Scale, name: str, kind: type[Any]) -> Iterator[str]:
    for raised, line in _raises(_tree_of(kind), _names_of(kind)):
        if isinstance(raised, str):
            yield f"line {line}: {raised}"


def set_up_errors(scale: Scale, name: str, kind: type[Any]) -> Iterator[str]:
    for base in kind.__mro__:
        if base.__module__.startswith(scale.family(name).package):
            for method in SET_UP_METHODS:
                if method in vars(base):
                    tree = ast.parse(textwrap.dedent(inspect.getsource(vars(base)[method])))
                    for raised, _ in _raises(tree, vars(sys.modules[base.__module__])):
                        if isinstance(raised, str) or raised.__name__ not in SET_UP:
                            yield f"{base.__name__}.{method} raises {raised}"


def no_blocking(scale: Scale, name: str, kind: type[Any]) -> Iterator[str]:
    for function in ast.walk(_tree_of(kind)):
        if isinstance(function, ast.AsyncFunctionDef):
            for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                called = ast.unparse(call.func)
                module, _, last = called.rpartition(".")
                if called in BLOCKING or module in BLOCKING_MODULES or last in BLOCKING_METHODS:
                    yield f"{function.name} calls {called}"


def deadlines(scale: Scale, name: str, kind: type[Any]) -> Iterator[str]:
    fields = set(kind.Config.__struct_fields__)
    if "system" in fields:
        from pytel.devices.foreign.client import ForeignSystem

        fields |= set(ForeignSystem.__struct_fields__)
    if not fields & DEADLINES:
        yield f"its section has none of {', '.join(sorted(DEADLINES))}"


def simulator(scale: Scale, name: str, kind: type[Any]) -> Iterator[str]:
    stands = scale.drivers[name].simulator
    folder = ROOT / "tests" / "devices" / name.partition("-")[0]
    if stands is None or not any(stands in path.read_text(encoding="utf-8") for path in folder.glob("*.py")):
        yield "nothing stands for the hardware in its tests"


def capabilities(scale: Scale, name: str, kind: type[Any]) -> Iterator[str]:
    read = getattr(kind, "read_capabilities", None)
    if read is None or read in (IndiDriver.read_capabilities, AlpacaDriver.read_capabilities):
        yield "it reads nothing of its hardware at a connect"


def beyond_the_interface(scale: Scale, name: str, kind: type[Any]) -> Iterator[str]:
    if not issubclass(kind, IndiProperties):
        yield "what no interface knows is out of reach"


CHECKS = {
    "strict-config": strict_config,
    "documented-config": documented_config,
    "page": page,
    "known-limits": known_limits,
    "example": example,
    "typed-errors": typed_errors,
    "set-up-errors": set_up_errors,
    "no-blocking": no_blocking,
    "deadlines": deadlines,
    "simulator": simulator,
    "capabilities": capabilities,
    "beyond-the-interface": beyond_the_interface,
}


def _tree_of(kind: type[Any]) -> ast.Module:
    return ast.parse(inspect.getsource(sys.modules[kind.__module__]))


def _names_of(kind: type[Any]) -> dict[str, Any]:
    return vars(sys.modules[kind.__module__])


def _raises(tree: ast.AST, names: dict[str, Any]) -> Iterator[tuple[type[PytelError] | str, int]]:
    """What is raised and where: an error's type, or why it is none of ours."""
    caught = {node.name for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and node.name}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Raise) or node.exc is None:
            continue
        what = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        if isinstance(what, ast.Name) and what.id in caught:
            continue
        found = names.get(what.id) if isinstance(what, ast.Name) else None
        if inspect.isfunction(found):
            found = names.get(str(found.__annotations__.get("return")))
        if isinstance(found, type) and issubclass(found, PytelError):
            yield found, node.lineno
        else:
            yield f"raises {ast.unparse(node.exc)[:60]}", node.lineno


def _field_docs(kind: type[Any]) -> set[str]:
    """The fields of a struct, and of its bases, with a string below them."""
    told: set[str] = set()
    for base in kind.__mro__:
        if base.__module__.startswith("pytel."):
            definition = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
            assert isinstance(definition, ast.ClassDef)
            for field, below in zip(definition.body, definition.body[1:], strict=False):
                if (
                    isinstance(field, ast.AnnAssign)
                    and isinstance(below, ast.Expr)
                    and isinstance(field.target, ast.Name)
                ):
                    told.add(field.target.id)
    return told


__all__ = ["CHECKS", "ROOT", "drivers", "examples", "page_of"]
