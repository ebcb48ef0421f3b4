"""`pytel modules`, `pytel state` and `pytel watch`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.table import Table
from rich.text import Text

from pytel.base.errors import ModuleNotFound, NotFound
from pytel.bus.contract import Topic
from pytel.cli.client import SiteClient, reach_site
from pytel.cli.screen import as_json, clock_time, console, shown, status_text
from pytel.module.faults import nearest

_DULL = ("boot", "module_type")
"""Fields that only programs want to see."""


def show_modules(state: Path | None, json_wanted: bool) -> None:
    """Print the table of modules."""
    with reach_site(state) as client:
        rows = _rows(client)
        since = {
            told["publisher"]: told["data"]["since"]
            for told in client.states()
            if Topic.parse(told["topic"]).name == "Module"
        }
    if json_wanted:
        typer.echo(as_json(rows))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("name", "type", "status", "since", "interfaces"):
        table.add_column(heading, no_wrap=heading in ("name", "status", "since"))
    for row in rows:
        name, status = row["address"], row["status"] or "stopped"
        status = "error" if row["error"] and status in ("ready", "stopped") else status
        began = clock_time(since[name]) if name in since else ""
        kind = row["module_type"].rpartition(":")[2]
        table.add_row(name, kind, status_text(status), began, ", ".join(row["interfaces"]))
    out = console()
    out.print(table)
    for row in rows:
        if row["error"]:
            out.print(Text.assemble((row["address"], "bold"), ": ", (row["error"], "red")))


def _rows(client: SiteClient) -> list[dict[str, Any]]:
    """The modules of the site file; where no supervisor runs them, those that are there."""
    try:
        found: list[dict[str, Any]] = client.call("site.list_modules")
        return found
    except ModuleNotFound:
        told = {row["publisher"]: row["data"] for row in client.states() if Topic.parse(row["topic"]).name == "Module"}
        return [_row(peer, told.get(peer["address"], {})) for peer in client.call("modules.list")]


def _row(peer: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "address": peer["address"],
        "module_type": state.get("module_type", ""),
        "interfaces": [urn.split(":")[3] for urn in peer["interfaces"]],
        "running": True,
        "status": state.get("status"),
        "error": (state.get("error") or {}).get("message"),
    }


def show_states(state: Path | None, module: str, json_wanted: bool) -> None:
    """Print the last states. Raises `ModuleNotFound` when the wanted module shows none."""
    with reach_site(state) as client:
        states = client.states()
        publishers = sorted({told["publisher"] for told in states})
        if module and module not in publishers:
            raise ModuleNotFound(f"no module {module!r} shows a state; {nearest(module, publishers)}")
        states = [told for told in states if module in ("", told["publisher"])]
        units = {} if json_wanted else _units(client, sorted({told["publisher"] for told in states}))
    if json_wanted:
        typer.echo(as_json(states))
        return
    out = console()
    for told in states:
        topic = Topic.parse(told["topic"])
        if topic.name == "Module" and not module and told["data"].get("error") is None:
            continue
        out.print(Text.assemble((told["publisher"], "bold"), f"  {topic.name}  ", (clock_time(told["time"]), "dim")))
        grid = Table.grid(padding=(0, 2))
        for key, value in told["data"].items():
            if key in _DULL:
                continue
            grid.add_row(f"  {key}", shown(value, units.get((told["topic"], key))))
        out.print(grid)


def _units(client: SiteClient, modules: list[str]) -> dict[tuple[str, str], str]:
    """The units of the fields of states, as the modules describe them."""
    units: dict[tuple[str, str], str] = {}
    described = client.call("rpc.discover")
    for module in modules:
        document = described.get(module, {})
        schemas = document.get("components", {}).get("schemas", {})
        for topic, schema in document.get("x-pytel", {}).get("publishes", {}).items():
            properties = schemas.get(str(schema.get("$ref", "")).rpartition("/")[2], schema).get("properties", {})
            for field, described_field in properties.items():
                if (unit := unit_in(described_field)) is not None:
                    units[topic, field] = unit
    return units


def unit_in(schema: Mapping[str, Any]) -> str | None:
    """The unit that a JSON Schema carries, itself or in one of its alternatives."""
    if "unit" in schema:
        return str(schema["unit"])
    return next((unit for part in schema.get("anyOf", ()) if (unit := unit_in(part))), None)


def watch_news(state: Path | None, topics: list[str] | None, json_wanted: bool) -> None:
    """Print what is published until the site goes away or Ctrl-C."""
    out = console()
    before: dict[tuple[str, str], dict[str, Any]] = {}
    try:
        with reach_site(state) as client:
            _refuse_unpublished(client, topics or [])
            for told in client.news(topics):
                if json_wanted:
                    typer.echo(json.dumps(told, ensure_ascii=False))
                elif told["kind"] == "state" and out.is_terminal:  # one line each: there are many
                    out.print(_line(told, before), no_wrap=True, overflow="ellipsis")
                elif told["kind"] in ("state", "event"):
                    out.print(_line(told, before), soft_wrap=True)
                else:
                    out.print(Text(f"{told.get('count')} messages were lost: this terminal is too slow", "red"))
    except KeyboardInterrupt:
        return
    typer.echo("the site has stopped", err=True)


def _refuse_unpublished(client: SiteClient, topics: list[str]) -> None:
    """Raise `NotFound` for what no module publishes: it would be waited for in vain."""
    described = client.call("rpc.discover").values() if topics else ()
    known = {topic for document in described for topic in document.get("x-pytel", {}).get("publishes", {})}
    names = {Topic.parse(topic).name for topic in known}
    for topic in topics:
        if topic not in known | names:
            raise NotFound(f"nobody here publishes {topic!r}; {nearest(topic, names)}")


def _line(told: Mapping[str, Any], before: dict[tuple[str, str], dict[str, Any]]) -> Text:
    """One line: an event with all its fields, a state with what has changed in it."""
    data: dict[str, Any] = told["data"]
    if told["kind"] == "state":
        key = (told["publisher"], told["topic"])
        known = before.get(key, {})
        before[key] = data
        data = {field: value for field, value in data.items() if field not in known or known[field] != value}
    fields = "  ".join(
        f"{field}={shown(value)}" for field, value in data.items() if value is not None and field not in _DULL
    )
    style = "bold" if told["kind"] == "event" else ""
    name = Topic.parse(told["topic"]).name
    return Text.assemble(
        (clock_time(told["time"]), "dim"), f" {told['publisher']:<12} ", (f"{name:<16}", style), f" {fields}"
    )
