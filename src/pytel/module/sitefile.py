"""The site file: one YAML that says which modules make up an observatory.

site = load_site(Path("site.yaml"))      # raises ConfigError with one sentence per fault
site, faults = check_site(Path("site.yaml"))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pytel.base.errors import ConfigError
from pytel.base.location import Location
from pytel.base.units import Latitude, Longitude, Metres
from pytel.bus.address import NAME
from pytel.bus.http import config as http_config
from pytel.bus.http.config import HttpConfig, HttpSection
from pytel.bus.xmpp.config import PROXIES, XmppSection, filled_in
from pytel.module.config import ModuleConfig
from pytel.module.faults import Fault, KeyPath, Lines, raise_for
from pytel.module.process_groups import check_processes
from pytel.module.registry import load_type, simulation_config
from pytel.module.scope_check import check_scopes
from pytel.module.site import SiteInfo
from pytel.module.specs import ModuleSpec, SiteFile, TimeSection
from pytel.module.struct_check import parse_struct, plain_struct
from pytel.module.yaml_lines import read_yaml

__all__ = ["SiteFile", "TimeSection", "check_site", "load_site", "parse_site"]

Name = Annotated[str, Meta(pattern=f"^{NAME.pattern}$")]
RESERVED = {
    "site": "the supervisor",
    "cli": "callers from the shell",
    "rpc": "the protocol",
    "events": "the protocol",
}

_WHY_SO = "the account of that name alone may speak for people"


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class _Place(_Section, frozen=True, kw_only=True):
    name: Name
    latitude: Latitude
    longitude: Longitude
    elevation: Metres = 0.0


class _Group(_Section, frozen=True, kw_only=True):
    modules: dict[str, Any] | None = None


class _Site(_Section, frozen=True, kw_only=True):
    site: _Place
    bus: Literal["local", "http", "xmpp"] = "local"
    http: HttpSection = HttpSection()
    xmpp: XmppSection = XmppSection()
    time: TimeSection = TimeSection()
    state: str = "state"
    seed: Annotated[int, Meta(ge=0)] = 0
    simulation: dict[str, Any] | None = None
    modules: dict[str, Any] | None = None
    groups: dict[str, _Group] | None = None
    processes: dict[str, list[str]] | None = None


class _Entry(_Section, frozen=True, kw_only=True):
    type: str
    uses: dict[str, str] = {}
    primary: bool = False
    autostart: bool = True


def load_site(path: Path) -> SiteFile:
    """Read a site file. Raises `ConfigError` with one sentence per fault, each with its line."""
    site, faults = check_site(path)
    raise_for(faults)
    if site is None:
        raise ConfigError(f"{path} says nothing")
    return site


def check_site(path: Path) -> tuple[SiteFile | None, list[Fault]]:
    """Read a site file and tell all that is wrong with it. Raises `ConfigError` when it cannot be opened."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start})") from error
    return parse_site(text, path=path)


def parse_site(
    source: str | Mapping[str, Any], *, path: Path | None = None, directory: Path | None = None
) -> tuple[SiteFile | None, list[Fault]]:
    """Check a site given as YAML text or as a mapping; `directory` is what its relative paths refer to."""
    directory = (directory or (path.parent if path else Path())).absolute()
    file = path.name if path else "site.yaml"
    if isinstance(source, str):
        value, lines, faults = read_yaml(source, file, directory)
        if value is None:
            return None, faults or [Fault(file, 1, "the file is empty")]
    else:
        value, lines, faults = dict(source), Lines(file, directory), []
    site, more = parse_struct(value, _Site, lines)
    faults = faults + more
    # Modules are looked at even when the rest is wrong: all faults at once.
    parser = _Modules(lines, directory)
    parser.section(_part(value, "modules"), ("modules",), None)
    for group, section in (_part(value, "groups") or {}).items():
        parser.group(group, section)
    simulation, more = _simulation(value, lines)
    faults += parser.faults + more + check_scopes(parser.specs, lines)
    faults += check_processes(_part(value, "processes"), parser.specs, lines)
    faults += _check_http(site, parser.specs, lines)
    faults += _check_xmpp(site, parser.specs, lines)
    if site is None or faults:
        return None, sorted(faults, key=lambda fault: fault.line)
    return _site_file(site, simulation, tuple(parser.specs), path, directory), []


def _site_file(
    site: _Site, simulation: Any, specs: tuple[ModuleSpec, ...], path: Path | None, directory: Path
) -> SiteFile:
    place = site.site
    info = SiteInfo(
        name=place.name,
        location=Location(latitude=place.latitude, longitude=place.longitude, elevation=place.elevation),
        seed=site.seed,
        state_dir=directory / Path(site.state).expanduser(),
        simulation=simulation,
        path=path.absolute() if path else None,
    )
    xmpp = filled_in(
        site.xmpp,
        site=place.name,
        state_dir=info.state_dir,
        directory=directory,
        modules=tuple(str(spec.address) for spec in specs),
    )
    return SiteFile(
        info=info,
        bus=site.bus,
        http=_http(site, info.state_dir, directory, specs),
        xmpp=xmpp,
        time=site.time,
        modules=specs,
        processes=_processes(site),
    )


def _http(site: _Site, state_dir: Path, directory: Path, specs: Sequence[ModuleSpec]) -> HttpConfig:
    return http_config.filled_in(site.http, state_dir=state_dir, directory=directory, modules=_proxies(specs))


def _check_http(site: _Site | None, specs: Sequence[ModuleSpec], lines: Lines) -> list[Fault]:
    if site is None:
        return []
    found = http_config.faults_of(site.http, _proxies(specs))
    return [lines.fault(("http", *path), message) for path, message in found]


def _check_xmpp(site: _Site | None, specs: Sequence[ModuleSpec], lines: Lines) -> list[Fault]:
    """Under another name modules would not believe it whom it speaks for, and serve everybody as a module."""
    if site is None or site.bus != "xmpp":
        return []
    names = _proxies(specs)
    return [
        lines.fault(spec.path, f"over XMPP this module must be called 'gateway', not {str(spec.address)!r}: {_WHY_SO}")
        for spec in specs
        if names[str(spec.address)] and str(spec.address) not in PROXIES
    ]


def _proxies(specs: Sequence[ModuleSpec]) -> dict[str, bool]:
    """The addresses of modules, and whether each calls in the name of the people behind it."""
    return {str(spec.address): bool(getattr(spec.kind, "is_proxy", False)) for spec in specs}


def _processes(site: _Site) -> dict[str, tuple[str, ...]]:
    return {name: tuple(members) for name, members in (site.processes or {}).items()}


def _part(value: Any, key: str) -> Any:
    part = value.get(key) if isinstance(value, Mapping) else None
    return part if isinstance(part, Mapping) else None


def _simulation(value: Any, lines: Lines) -> tuple[Any, list[Fault]]:
    section = _part(value, "simulation")
    if section is None:
        return None, []
    kind = simulation_config()
    return (section, []) if kind is None else plain_struct(section, kind, lines, ("simulation",))


class _Modules:
    """Reads the sections of modules."""

    def __init__(self, lines: Lines, directory: Path) -> None:
        self._lines = lines
        self._directory = directory
        self.specs: list[ModuleSpec] = []
        self.faults: list[Fault] = []

    def _fault(self, path: KeyPath, message: str) -> None:
        self.faults.append(self._lines.fault(path, message))

    def group(self, name: str, section: Any) -> None:
        path = ("groups", name)
        if not NAME.fullmatch(name):
            self._fault(path, f"{name!r} cannot be a group's name: {_NAMING}")
        self.section(_part(section, "modules"), (*path, "modules"), name)

    def section(self, section: Any, path: KeyPath, group: str | None) -> None:
        for name, entry in (section or {}).items():
            self._module(name, entry, (*path, name), group)

    def _module(self, name: str, entry: Any, path: KeyPath, group: str | None) -> None:
        if not NAME.fullmatch(name):
            self._fault(path, f"{name!r} cannot be a module's name: {_NAMING}")
        if name in RESERVED:
            self._fault(path, f"{name!r} cannot be a module's name: it is reserved for {RESERVED[name]}")
        for other in self.specs:
            if other.name == name and (other.group is None or group in (None, other.group)):
                where = f"group {other.group}" if other.group else "the shared modules"
                self._fault(path, f"{name!r} is already the name of a module of {where}, in line {other.line}")
        if not isinstance(entry, Mapping):
            self._fault(path, f"{name} must be a section such as {{type: simulated-camera}}")
            return
        own = {key: value for key, value in entry.items() if key in _Entry.__struct_fields__}
        head, faults = parse_struct(own, _Entry, self._lines, path)
        self.faults += faults
        kind = self._kind(own.get("type"), path)
        if kind is None:
            return
        config = self._config(kind, {key: value for key, value in entry.items() if key not in own}, path)
        self.specs.append(
            ModuleSpec(
                name=name,
                group=group,
                type_name=str(own["type"]),
                kind=kind,
                config=config or ModuleConfig(),
                uses=head.uses if head else {},
                primary=bool(head and head.primary),
                autostart=head is None or head.autostart,
                line=self._lines.key(path).line,
                path=path,
            )
        )

    def _kind(self, name: Any, path: KeyPath) -> type | None:
        if not isinstance(name, str):
            return None
        try:
            return load_type(name, self._directory)
        except ConfigError as error:
            self._fault((*path, "type"), error.message)
            return None

    def _config(self, kind: type, values: dict[str, Any], path: KeyPath) -> ModuleConfig | None:
        config_kind: type[ModuleConfig] = getattr(kind, "Config", ModuleConfig)
        config, faults = parse_struct(values, config_kind, self._lines, path)
        self.faults += faults
        return config


_NAMING = "write up to 63 of a-z, 0-9, '_' and '-', beginning with a letter"
