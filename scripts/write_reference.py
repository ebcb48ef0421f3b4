"""Writes the parts of the documentation that follow from the code: site file, module types, night.json.

python scripts/write_reference.py            # rewrites what stands between the marks of the pages
python scripts/write_reference.py --check    # only tells which pages are stale; a test asks this
"""

from __future__ import annotations

import ast
import enum
import inspect
import itertools
import sys
import textwrap
import types
import typing
from collections.abc import Iterator
from datetime import date, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import msgspec

from pytel.base.units import unit_of
from pytel.devices.quality import Level, Scale, read_scale
from pytel.devices.simulated.world.config import WorldConfig
from pytel.module.secrets import Secret
from pytel.module.sitefile import TimeSection
from pytel.observing.report import NightReport

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- from the code: make docs -->", "<!-- end -->"
WORDS = {
    float: "number",
    int: "whole number",
    str: "text",
    bool: "`true` or `false`",
    datetime: "time",
    date: "date",
    Secret: "secret",
}


def main() -> int:
    """Rewrite the pages, or check them; returns the exit status."""
    stale = []
    for name, text in {"site-file.md": site_file(), "night-json.md": night_json(), "drivers.md": drivers()}.items():
        path = DOCS / name
        old = path.read_text(encoding="utf-8")
        before, _, rest = old.partition(BEGIN)
        new = f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{rest.partition(END)[2]}"
        if new != old:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(new, encoding="utf-8")
    if "--check" not in sys.argv:
        return 0
    for name in stale:
        print(f"docs/{name} does not fit the code any more: run make docs")
    return bool(stale)


def site_file() -> str:
    """All keys of `time`, all module types with their options, and the simulated world."""
    parts = ["## `time`", _first(TimeSection), _table(TimeSection), "## Module types"]
    kinds = {point.name: point.load() for point in entry_points(group="pytel.modules") if _is_ours(point.value)}
    for name, kind in sorted(kinds.items()):
        parts += [f"### `{name}`", _first(kind), _first(kind.Config), _table(kind.Config)]
        for field in msgspec.structs.fields(kind.Config):
            if not isinstance(field.default, msgspec.Struct):
                continue
            section = type(field.default)
            parts += [f"`{field.name}`: {_first(section)}", _table(section, inner=True)]
    parts += ["## `simulation`", "The simulated world; what is not said is as in this table."]
    parts += [_table(WorldConfig)]
    for field in msgspec.structs.fields(WorldConfig):
        if _is_struct(field.type):
            parts += [f"### `simulation.{field.name}`", _first(field.type), _table(field.type)]
            for inner in _inner(field.type):
                parts += [f"Each of them: {_first(inner)}", _table(inner)]
    return "\n\n".join(part for part in parts if part)


def night_json() -> str:
    """The form of a night's report."""
    doc = (inspect.getdoc(NightReport) or "").split("\n\n")[1:]
    parts = [*doc, _table(NightReport, defaults=False)]
    for kind in _inner(NightReport):
        name = next(field.name for field in msgspec.structs.fields(NightReport) if kind in _structs(field.type))
        parts += [f"## Each of `{name}`", _first(kind), _table(kind, defaults=False)]
    return "\n\n".join(parts)


def drivers() -> str:
    """The quality scale: the rules, each driver's level, and what it misses."""
    scale = read_scale()
    parts = []
    for level in (Level.BRONZE, Level.SILVER, Level.GOLD):
        rules = [(name, rule) for name, rule in scale.rules.items() if rule.level is level]
        rows = [f"| `{name}` | {rule.what} | {'code' if rule.checked else 'a test'} |" for name, rule in rules]
        parts += [
            f"## {level.value.capitalize()}",
            "\n".join(["| rule | what | judged by |", "| --- | --- | --- |", *rows]),
        ]
    rows = [
        f"| [`{name}`](#{name}) | [{Path(driver.page).stem}]({driver.page}) | {scale.level(name).value} "
        f"| {len(driver.not_met)} |"
        for name, driver in scale.drivers.items()
    ]
    parts += [
        "## Drivers",
        "\n".join(["| driver | page | level | rules not met |", "| --- | --- | --- | --- |", *rows]),
    ]
    for name in scale.drivers:
        parts += [f"### {name}", _record(scale, name)]
    return "\n\n".join(parts)


def _record(scale: Scale, name: str) -> str:
    """What one driver misses, what has no meaning for it, and what shows the rest."""
    driver = scale.drivers[name]
    lines = [f"- **not met** `{rule}`: {why}" for rule, why in driver.not_met.items()]
    lines += [f"- without meaning `{rule}`: {why}" for rule, why in driver.exempt.items()]
    proved = scale.proved(name)
    for rule in (rule for rule in scale.rules if rule in proved):
        path, _, test = proved[rule].partition("::")
        lines.append(f"- `{rule}`: [`{test}`](../{path})")
    return "\n".join(lines)


def _is_ours(value: str) -> bool:
    return value.startswith("pytel.")


def _table(kind: Any, *, defaults: bool = True, inner: bool = False) -> str:
    told = field_docs(kind)
    head = ["key", "kind", "default", "what"] if defaults else ["key", "kind", "what"]
    rows = [head, ["---"] * len(head)]
    for field in msgspec.structs.fields(kind):
        row = [f"`{field.name}`", _kind(field.type), told.get(field.name, "")]
        if defaults:
            row.insert(2, _inline(field) if inner and isinstance(field.default, msgspec.Struct) else _default(field))
        rows.append(row)
    if not any(told.get(field.name) for field in msgspec.structs.fields(kind)):
        rows = [row[:-1] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) if len(rows) > 2 else "No options."


def field_docs(kind: Any) -> dict[str, str]:
    """The strings below the fields of a struct and its bases."""
    told: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("pytel."):
            body = typing.cast(ast.ClassDef, ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]).body
            for field, below in itertools.pairwise(body):
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    text = _string(below)
                    if text:
                        told[field.target.id] = text
    return told


def _string(node: ast.stmt) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return " ".join(node.value.value.split())
    return ""


def _first(kind: Any) -> str:
    return " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].replace("None", "null").split())


def _kind(annotation: Any) -> str:
    """A type in words, with its unit and limits."""
    alternatives = [part for part in _alternatives(annotation) if part is not type(None)]
    text = " or ".join(dict.fromkeys(_one_kind(part) for part in alternatives))
    return text if len(alternatives) == len(list(_alternatives(annotation))) else f"{text}, or `null`"


def _one_kind(annotation: Any) -> str:
    plain = _plain(annotation)
    origin, arguments = typing.get_origin(plain) or plain, typing.get_args(plain)
    if origin is typing.Literal:
        return ", ".join(f"`{word}`" for word in arguments)
    if origin in (tuple, list):
        return f"list: {_kind(arguments[0])}"
    if origin is dict:
        return f"section: name to {_kind(arguments[1])}"
    if isinstance(origin, type) and issubclass(origin, enum.Enum):
        return ", ".join(f"`{item.value}`" for item in origin)
    if _is_struct(origin):
        return "section"
    unit = unit_of(annotation)
    word = "number" if unit else WORDS.get(origin, str(origin))
    return f"{word}{f', {unit}' if unit not in (None, '1') else ''}{_limits(annotation)}"


def _limits(annotation: Any) -> str:
    metas = [meta for meta in getattr(annotation, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    words = []
    for meta in metas:
        for sign, value in ((">", meta.gt), ("≥", meta.ge), ("<", meta.lt), ("≤", meta.le)):
            if value is not None and value != -273.15:
                words.append(f"{sign} {_bytes(value) or format(value, 'g')}")
    return f" ({', '.join(words)})" if words else ""


def _alternatives(annotation: Any) -> Iterator[Any]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _alternatives(part)
    else:
        yield annotation


def _plain(annotation: Any) -> Any:
    return annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _structs(annotation: Any) -> list[type]:
    if _is_struct(annotation):
        return [annotation]
    return [found for part in typing.get_args(annotation) for found in _structs(part)]


def _inner(kind: Any) -> list[type]:
    """The structs in lists of a struct."""
    fields = [field for field in msgspec.structs.fields(kind) if not _is_struct(field.type)]
    return [found for field in fields for found in _structs(field.type)]


def _inline(field: Any) -> str:
    """The default of a section in a section, as it would be written."""
    values = msgspec.to_builtins(field.default).items()
    return "`{" + ", ".join(f"{name}: {value:g}" for name, value in values if isinstance(value, int | float)) + "}`"


def _default(field: Any) -> str:
    if field.required:
        return "required"
    if field.default is msgspec.NODEFAULT:
        value = msgspec.to_builtins(field.default_factory())
        return "as below" if _is_struct(field.type) and value else "none"
    value = msgspec.to_builtins(field.default)
    if value is None:
        return "`null`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"`{_bytes(value) or format(value, 'g')}`"
    if isinstance(value, dict) and value:
        return "as below"
    if isinstance(value, list | tuple | dict):
        return (
            f"`{list(value)}`" if value and not isinstance(value[0], dict) else "none" if not value else _names(value)
        )
    return f"`{value}`"


def _bytes(value: float) -> str:
    """A large round number as a size, empty for others."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20)):
        if value >= size and value % size == 0:
            return f"{value // size:g} {unit}"
    return ""


def _names(value: Any) -> str:
    return ", ".join(str(item.get("name", item)) for item in value)


if __name__ == "__main__":
    sys.exit(main())
