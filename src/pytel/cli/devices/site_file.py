"""The site file for what a scan found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from pytel.base.errors import ConfigError, InternalError
from pytel.base.files import write_atomically
from pytel.bus.address import NAME
from pytel.cli.devices.found import Findings, FoundDevice
from pytel.cli.hardware import missing_world
from pytel.module.interface import interfaces_of
from pytel.module.registry import load_type
from pytel.module.sitefile import parse_site


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where the observatory is: no device is trusted with that."""

    name: str = "observatory"
    latitude: float | None = None
    longitude: float | None = None
    elevation: float = 0.0

    def check(self) -> None:
        """Raise `ConfigError` when it is not known, or its name is none."""
        if not NAME.fullmatch(self.name):
            raise ConfigError(f"{self.name!r} cannot be a site's name: write it like hilltop, in lower case")
        if self.latitude is None or self.longitude is None:
            raise ConfigError(
                "a site file says where the site is: give --latitude and --longitude in degrees, east positive; with a "
                "wrong place the Sun is not where pytel believes it is"
            )


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Raise `ConfigError` rather than write over a file."""
    if path.exists() and not overwrite:
        raise ConfigError(f"{path} is there already: write another file, or say --overwrite")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"there is no directory {path.absolute().parent}: make it first")


def write_site(findings: Findings, path: Path, place: Place, overwrite: bool) -> list[str]:
    """Write a site file that is in order; returns sentences that say what is to be done.

    Raises `ConfigError` when the file is there already or cannot be written.
    """
    place.check()
    refuse_existing(path, overwrite)
    text = site_text(findings, place)
    site, faults = parse_site(text, path=path)
    faults += missing_world(site) if site else []
    if faults:
        wrong = "; ".join(fault.message for fault in faults[:3])
        raise InternalError(f"nothing was written, for the file would not be in order: {wrong}")
    try:
        write_atomically(path, [text.encode()])
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}") from error
    return [f"{path} is written", *_to_do(findings, path)]


def _to_do(findings: Findings, path: Path) -> Iterator[str]:
    for device in _driven(findings):
        if device.missing:
            yield (
                f"{device.module} is written as a comment: {device.name} does not tell {', '.join(device.missing)}; "
                f"give {'it' if len(device.missing) == 1 else 'them'} and remove the #"
            )
    yield f"look through it, then: pytel check {path}; pytel run {path}; pytel devices check MODULE"


def site_text(findings: Findings, place: Place) -> str:
    """The site file as YAML."""
    head = {
        "name": place.name,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "elevation": place.elevation,
    }
    lines = [f"site: {_section(head)}", "modules:"]
    lines += [f"  {name}: {_section({'type': kind})}" for name, kind in _company(findings).items()]
    primary = _primary(tuple(device for device in _driven(findings) if not device.missing))
    for device in _driven(findings):
        lines += _module(device, device.module in primary)
    return "\n".join(lines) + "\n"


def _driven(findings: Findings) -> list[FoundDevice]:
    return [device for device in findings.devices if device.type and device.module]


def _company(findings: Findings) -> dict[str, str]:
    """Modules without a device of their own that these devices need: who may move things, and where images go."""
    kinds = {device.kind for device in _driven(findings)}
    company = {"control": "lease-control", "notifier": "log-notifier"}
    if "camera" in kinds:
        company["store"] = "directory-store"
    if "weather" in kinds and "safety monitor" not in kinds:
        company["safety"] = "weather-safety"
    return company


def _primary(devices: Sequence[FoundDevice]) -> set[str]:
    """The first of those that offer the same; the site file must say which one is meant."""
    offering: dict[str, list[str]] = {}
    for device in devices:
        for interface in interfaces_of(load_type(device.type or "")):
            if not interface.several:
                offering.setdefault(interface.__name__, []).append(device.module)
    return {names[0] for names in offering.values() if len(names) > 1}


def _module(device: FoundDevice, primary: bool) -> list[str]:
    entry: dict[str, str | int | float | bool | None] = {"type": device.type, **device.settings}
    if primary:
        entry["primary"] = True
    note = f"; {device.note}" if device.note else ""
    lines = [f"  # {device.name} ({device.protocol}){note}"]
    if device.missing:
        asked = "".join(f", {key}: ?" for key in device.missing)
        lines.append(f"  # give {', '.join(device.missing)}, which it does not tell, and remove the # of the next line")
        return [*lines, f"  # {device.module}: {_section(entry)[:-1]}{asked}}}"]
    return [*lines, f"  {device.module}: {_section(entry)}"]


def _section(values: Mapping[str, str | int | float | bool | None]) -> str:
    """A mapping on one line; texts as JSON has them, which YAML reads."""
    return "{" + ", ".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()) + "}"


__all__ = ["Place", "refuse_existing", "site_text", "write_site"]
