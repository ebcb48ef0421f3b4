"""What one module process is to run: what the site file says of it, checked and written as JSON.

A process that reads this needs neither YAML nor the classes of other modules: that is half of its memory and start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from pytel import __version__
from pytel.base.errors import ConfigError
from pytel.base.files import write_atomically
from pytel.module.config import ModuleConfig
from pytel.module.registry import load_class
from pytel.module.rpc import to_builtins
from pytel.module.specs import ModuleSpec, SiteFile


class _ModulePlan(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    group: str | None
    kind: str
    given: dict[str, Any]
    uses: dict[str, str]
    primary: bool
    autostart: bool
    line: int

    @property
    def address(self) -> str:
        return f"{self.group}.{self.name}" if self.group else self.name


class ProcessPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One process: `site` without its modules, and those of this process. `source` is the checksum of the site file."""

    version: str
    source: str
    name: str
    site: SiteFile
    modules: tuple[_ModulePlan, ...]

    @property
    def autostart(self) -> list[str]:
        """The addresses of the modules that start by themselves."""
        return [module.address for module in self.modules if module.autostart]


def process_names(site: SiteFile) -> list[str]:
    """The processes of a site, in the order of their first modules in the site file."""
    return list(dict.fromkeys(site.process_of(spec.address) for spec in site.modules))


def members_of(site: SiteFile, process: str) -> list[ModuleSpec]:
    """The modules of a process, in the order of the site file."""
    return [spec for spec in site.modules if site.process_of(spec.address) == process]


def plan_of(site: SiteFile, process: str, source: str = "") -> bytes:
    """Describe a process; `source` is told where somebody asks whether the site file has changed."""
    plan = ProcessPlan(
        version=__version__,
        source=source,
        name=process,
        site=msgspec.structs.replace(site, modules=(), processes={}),
        modules=tuple(_planned(spec) for spec in members_of(site, process)),
    )
    return msgspec.json.encode(plan, enc_hook=str, order="deterministic")


def source_of(path: Path | None) -> str:
    """The checksum of a site file, "" when there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path is not None and path.is_file() else ""


def _planned(spec: ModuleSpec) -> _ModulePlan:
    is_own_file = spec.kind.__module__.startswith("pytel_site_")
    return _ModulePlan(
        name=spec.name,
        group=spec.group,
        kind=spec.type_name if is_own_file else f"{spec.kind.__module__}:{spec.kind.__qualname__}",
        given=_given(spec.config),
        uses=dict(spec.uses),
        primary=spec.primary,
        autostart=spec.autostart,
        line=spec.line,
    )


def _given(config: ModuleConfig) -> dict[str, Any]:
    """What differs from the defaults, which the code of the day knows best."""
    fields = [(field, getattr(config, field.name)) for field in msgspec.structs.fields(config)]
    return {field.encode_name: to_builtins(value) for field, value in fields if value != field.default}


def read_plan(path: Path) -> ProcessPlan:
    """Read a plan. Raises `ConfigError` when it is not there or of another version of pytel."""
    return parse_plan(_bytes_of(path), path)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the plan {path} cannot be read ({error.strerror}): start the site with 'pytel run'"
        ) from error


def parse_plan(data: bytes, path: Path) -> ProcessPlan:
    """The same from bytes."""
    try:
        plan = msgspec.json.decode(data, type=ProcessPlan, dec_hook=_decoded)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"the plan {path} is of another version of pytel ({error}): start the site again") from error
    if plan.version != __version__:
        raise ConfigError(f"the plan {path} is of pytel {plan.version}, this is {__version__}: start the site again")
    return plan


def write_plan(path: Path, data: bytes) -> str:
    """Write a plan where its process looks for it; returns its checksum, by which it is known."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(path, [data])
    return checksum(data)


def checksum(data: bytes) -> str:
    """By what a plan is known."""
    return hashlib.sha256(data).hexdigest()[:16]


def loaded(plan: ProcessPlan, wanted: Iterable[str] | None = None) -> SiteFile:
    """The site with the modules of the plan, or those `wanted`, whose classes alone are imported.

    Raises `ConfigError`.
    """
    directory = plan.site.info.path.parent if plan.site.info.path else None
    names = None if wanted is None else set(wanted)
    chosen = [module for module in plan.modules if names is None or module.address in names]
    return msgspec.structs.replace(plan.site, modules=tuple(_spec(module, directory) for module in chosen))


def _spec(module: _ModulePlan, directory: Path | None) -> ModuleSpec:
    kind = load_class(module.kind, directory)
    config_kind: type[ModuleConfig] = getattr(kind, "Config", ModuleConfig)
    try:
        config = msgspec.convert(module.given, config_kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{module.name}: {error}; 'pytel check' says more") from error
    return ModuleSpec(
        name=module.name,
        group=module.group,
        type_name=module.kind,
        kind=kind,
        config=config,
        uses=module.uses,
        primary=module.primary,
        autostart=module.autostart,
        line=module.line,
    )


def _decoded(kind: type, value: Any) -> Any:
    return Path(value) if kind is Path else value
