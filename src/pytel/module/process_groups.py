"""The section `processes` of a site file: which modules share a process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytel.bus.address import NAME
from pytel.module.faults import Fault, KeyPath, Lines, nearest
from pytel.module.specs import ModuleSpec


def check_processes(section: Mapping[str, Any] | None, specs: Sequence[ModuleSpec], lines: Lines) -> list[Fault]:
    """Tell what is wrong with the groups: names that cannot be, modules that are unknown or stand in two."""
    faults: list[Fault] = []
    known = [str(spec.address) for spec in specs]
    seen: dict[str, KeyPath] = {}
    for name, members in (section or {}).items():
        path = ("processes", name)
        if not NAME.fullmatch(name):
            faults.append(lines.fault(path, f"{name!r} cannot be a process's name: write it as a module's"))
        members = [member for member in members if isinstance(member, str)] if isinstance(members, list) else []
        if name in known and name not in members:
            message = f"{name!r} is also a module, which has a process of its own: choose another name"
            faults.append(lines.fault(path, message))
        for index, member in enumerate(members):
            place = (*path, index)
            if member not in known:
                faults.append(lines.fault(place, f"{name}: no module is called {member!r}; {nearest(member, known)}"))
            elif member in seen:
                where = f"{seen[member][1]} in line {lines.key(seen[member]).line}"
                faults.append(lines.fault(place, f"{member!r} already is in the process {where}: keep one of both"))
            seen.setdefault(member, place)
    return faults
