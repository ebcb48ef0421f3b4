"""`pytel call`: any method of any module, from its own description."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from pytel.base.errors import ControlHeld, InvalidParams, MethodNotFound, ModuleNotFound, PytelError
from pytel.base.units import parse_quantity
from pytel.bus.door import split_method
from pytel.cli.client import SiteClient, reach_site
from pytel.cli.look import unit_in
from pytel.cli.screen import as_json, console
from pytel.module.faults import nearest

_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
POLL = 0.5
"""Real seconds between two looks at a job's progress."""


def call_method(state: Path | None, target: str, arguments: list[str], json_wanted: bool) -> None:
    """Call a method and print its result, or list a module's methods. Raises what the module raises."""
    with reach_site(state) as client:
        addresses = [peer["address"] for peer in client.call("modules.list")]
        if target in addresses:
            _list_methods(client.call(f"{target}.rpc.discover"), json_wanted)
            return
        if "." not in target:
            raise ModuleNotFound(f"there is no module {target!r}; {nearest(target, addresses)}")
        address, name = split_method(target)
        if str(address) not in addresses:
            raise ModuleNotFound(f"there is no module {str(address)!r}; {nearest(str(address), addresses)}")
        document = client.call(f"{address}.rpc.discover")
        method = _find(document, str(address), name)
        params = parse_arguments(method, arguments, document.get("components", {}).get("schemas", {}))
        reply = _ask(client, target, params)
        if method and method["x-pytel"]["long"]:
            reply = _follow(client, str(address), name, reply)
    if reply is not None or json_wanted:
        typer.echo(reply if isinstance(reply, str) and not json_wanted else as_json(reply))


def _ask(client: SiteClient, target: str, params: Any) -> Any:
    """Call; whoever is refused because another one has control, hears how to get it."""
    try:
        return client.call(target, params)
    except ControlHeld as error:
        raise with_way_out(error) from error


def with_way_out(error: ControlHeld) -> ControlHeld:
    """The same error; where a module has control, with how to take it away."""
    holder = str(error.data.get("holder") or "")
    if not holder or "/" in holder:  # a person has it
        return error
    return ControlHeld(f"{error.message}; 'pytel stop {holder}' takes it away", **error.data)


def _find(document: Mapping[str, Any], address: str, name: str) -> dict[str, Any] | None:
    """The description of a method; None for those of the protocol itself."""
    if "." in name:
        return None
    for method in document["methods"]:
        if method["name"] == name:
            found: dict[str, Any] = method
            return found
    names = [method["name"] for method in document["methods"]]
    raise MethodNotFound(f"{address} has no method {name!r}; {nearest(name, names)}")


def parse_arguments(
    method: Mapping[str, Any] | None, arguments: list[str], schemas: Mapping[str, Any]
) -> dict[str, Any] | list[Any]:
    """Turn `name=value` and plain values into parameters. Raises `InvalidParams`."""
    described = {param["name"]: param["schema"] for param in method["params"]} if method else {}
    order = list(described)
    named: dict[str, Any] = {}
    for position, argument in enumerate(arguments):
        match = _NAMED.fullmatch(argument)
        if match and (match[1] in described or not described or (len(named) == position and "=" in argument)):
            name, text = match[1], match[2]
        elif position < len(order):
            name, text = order[position], argument
        else:
            raise InvalidParams(f"{argument!r} is one argument too many; write name=value")
        if described and name not in described:
            raise InvalidParams(f"there is no parameter {name!r}; {nearest(name, described)}")
        if name in named:
            raise InvalidParams(f"{name} is given twice")
        named[name] = _parse_named(name, text, described.get(name, {}), schemas)
    return named


def parse_value(text: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """Read a value as its JSON Schema asks: text as it stands, numbers with or without a unit, JSON for the rest."""
    unit, kinds = unit_in(schema), _kinds(schema, schemas)
    if text == "null" and "null" in kinds:
        return None
    if "string" in kinds and not text.startswith('"'):
        return text
    try:
        return json.loads(text)
    except ValueError:
        if unit is not None:
            return parse_quantity(text, unit)
        return text


def _parse_named(name: str, text: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    try:
        return parse_value(text, schema, schemas)
    except InvalidParams as error:
        raise InvalidParams(f"{name}: {error.message}") from error


def _kinds(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> set[str]:
    if "$ref" in schema:
        return _kinds(schemas.get(str(schema["$ref"]).rpartition("/")[2], {}), schemas)
    if "anyOf" in schema:
        return {kind for part in schema["anyOf"] for kind in _kinds(part, schemas)}
    if "enum" in schema:
        return {"string"} if all(isinstance(item, str) for item in schema["enum"]) else set()
    kind = schema.get("type")
    return set(kind) if isinstance(kind, list) else {kind} if kind else set()


def _follow(client: SiteClient, address: str, name: str, reply: Mapping[str, Any]) -> Any:
    """Show a job until it is over; Ctrl-C cancels it."""
    job = {"job": reply["job"]}
    try:
        report = _show_progress(client, address, name, job, reply.get("eta"))
    except KeyboardInterrupt:
        client.call(f"{address}.job.cancel", job)
        typer.echo(f"{address}.{name} was cancelled", err=True)
        raise typer.Exit(130) from None
    if report.get("error"):
        raise PytelError.from_wire(report["error"])
    return report.get("result")


def _show_progress(
    client: SiteClient, address: str, name: str, job: Mapping[str, Any], estimate: float | None
) -> dict[str, Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}"))
    out = console()
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
        task = progress.add_task(f"{address}.{name}", total=1.0, left="")
        while True:
            report: dict[str, Any] = client.call(f"{address}.job.wait", {**job, "timeout": POLL})
            if report["status"] in ("done", "failed", "cancelled"):
                return report
            eta, done = report.get("eta"), report.get("progress")
            if done is None and eta is not None and estimate:
                done = 1.0 - min(1.0, eta / estimate)
            left = "" if eta is None else f"{eta:.0f} s to go"
            progress.update(task, completed=done or 0.0, left=f"{report['status']} {left}".strip())


def _list_methods(document: Mapping[str, Any], json_wanted: bool) -> None:
    if json_wanted:
        typer.echo(as_json(document))
        return
    out = console()
    title, about = document["info"]["title"], document["info"]["description"].partition("\n")[0]
    out.print(Text.assemble((title, "bold"), f": {about}"))
    table = Table(box=None, pad_edge=False, show_header=False)
    for method in document["methods"]:
        role = method["x-pytel"]["role"] + (", takes long" if method["x-pytel"]["long"] else "")
        table.add_row(Text(f"  {method['name']}", "bold"), " ".join(_parameter(param) for param in method["params"]))
        table.add_row("", Text(f"{method['summary']} ({role})", "dim"))
    out.print(table)


def _parameter(param: Mapping[str, Any]) -> str:
    unit = unit_in(param["schema"])
    text = f"{param['name']}={f'[{unit}]' if unit else '…'}".replace("[", r"\[")
    return text if param["required"] else f"({text})"
