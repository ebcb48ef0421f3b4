"""Whether every module of a site file will find whom it needs: `uses` that lead nowhere, interfaces offered twice."""

from __future__ import annotations

from collections.abc import Sequence

from pytel.module.faults import Fault, Lines, nearest
from pytel.module.interface import Interface, interfaces_of
from pytel.module.specs import ModuleSpec


def check_scopes(specs: Sequence[ModuleSpec], lines: Lines) -> list[Fault]:
    """Tell which `uses` cannot work and where two modules could answer and nothing decides."""
    faults = [fault for spec in specs for fault in _check_uses(spec, specs, lines)]
    for group in dict.fromkeys(spec.group for spec in specs):
        faults += _check_ambiguity([spec for spec in specs if spec.group == group], specs, lines)
    return faults


def _check_uses(spec: ModuleSpec, specs: Sequence[ModuleSpec], lines: Lines) -> list[Fault]:
    known = {kind.__name__ for other in specs for kind in interfaces_of(other.kind)}
    visible = [other for other in specs if other.group in (None, spec.group) and other is not spec]
    faults: list[Fault] = []
    for interface, wanted in spec.uses.items():
        path = (*spec.path, "uses", interface)
        found = [other for other in visible if wanted in (other.name, str(other.address))]
        if interface not in known:
            message = f"uses: no module of this site offers {interface!r}; {nearest(interface, known)}"
        elif not found:
            names = [str(other.address) for other in visible]
            message = f"uses: {spec.address} sees no module called {wanted!r}; {nearest(wanted, names)}"
        elif not any(_offers(other, interface) for other in found):
            offered = ", ".join(kind.__name__ for kind in interfaces_of(found[0].kind)) or "no interface"
            message = f"uses: {wanted} does not offer {interface}, only {offered}"
        else:
            continue
        faults.append(lines.fault(path, message))
    return faults


def _check_ambiguity(group: Sequence[ModuleSpec], specs: Sequence[ModuleSpec], lines: Lines) -> list[Fault]:
    faults: list[Fault] = []
    offered: dict[type[Interface], list[ModuleSpec]] = {}
    for spec in group:
        for interface in interfaces_of(spec.kind):
            if not interface.several:
                offered.setdefault(interface, []).append(spec)
    for interface, offering in offered.items():
        name = interface.__name__
        primary = sum(spec.primary for spec in offering)
        if len(offering) < 2 or primary == 1 or (primary == 0 and any(name in spec.uses for spec in specs)):
            continue
        addresses = " and ".join(str(spec.address) for spec in offering)
        what = "and both are primary: keep one" if primary else "and nothing decides: mark one with 'primary: true'"
        message = f"{addresses} both offer {name} {what}, or say 'uses: {{{name}: …}}' where it is needed"
        faults.append(lines.fault(offering[1].path, message))
    return faults


def _offers(spec: ModuleSpec, interface: str) -> bool:
    return any(kind.__name__ == interface for kind in interfaces_of(spec.kind))
