"""Which class a `type` of the site file means: registered by a package, or in one's own file beside the site file."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pytel.base.errors import ConfigError
from pytel.module.faults import nearest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

MODULES = "pytel.modules"
"""The group of entry points under which packages register module classes."""
SIMULATIONS = "pytel.simulations"
"""The group of entry points under which the configuration of a simulated world is registered."""

_DOTTED = re.compile(r"(?P<module>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)[:.](?P<name>[A-Za-z_]\w*)")


@cache
def _registered(group: str) -> dict[str, tuple[EntryPoint, ...]]:
    from importlib.metadata import entry_points  # a module process does without

    found: dict[str, dict[str, EntryPoint]] = {}
    for point in entry_points(group=group):
        owner = point.dist.name if point.dist else "?"
        found.setdefault(point.name, {})[f"{owner} {point.value}"] = point
    return {name: tuple(points[key] for key in sorted(points)) for name, points in sorted(found.items())}


def registered_types() -> list[str]:
    """The names that packages have registered, sorted."""
    return list(_registered(MODULES))


def load_type(name: str, directory: Path | None = None) -> type:
    """Find a module class by its `type`. Raises `ConfigError` with what to do.

    `directory` is where the site file stands: `mydome:Dome` or `mydome.Dome` means class `Dome` of `mydome.py` there,
    or of an installed package.
    """
    points = _registered(MODULES).get(name, ())
    return _checked(name, _load_point(name, points)) if points else load_class(name, directory)


def load_class(name: str, directory: Path | None = None) -> type:
    """The same for a dotted name alone, without asking what packages have registered. Raises `ConfigError`."""
    match = _DOTTED.fullmatch(name)
    if match is None:
        raise ConfigError(f"type {name!r} is not registered; {nearest(name, registered_types())}")
    return _checked(name, _load_dotted(match["module"], match["name"], directory))


def _checked(name: str, kind: Any) -> type:
    if not (isinstance(kind, type) and getattr(kind, "is_module", False)):
        raise ConfigError(f"type {name!r} is no module class: it must inherit from pytel.services.Module")
    return kind


@cache
def simulation_config() -> Any:
    """The struct that describes the simulated world, None when no package registers one."""
    points = _registered(SIMULATIONS).get("world", ())
    return _load_point("world", points) if points else None


def _load_point(name: str, points: tuple[EntryPoint, ...]) -> Any:
    if len(points) > 1:
        owners = " and ".join(f"{point.dist.name if point.dist else '?'} ({point.value})" for point in points)
        raise ConfigError(f"type {name!r} is claimed by two packages: {owners}; uninstall one or use a dotted path")
    try:
        return points[0].load()
    except Exception as error:
        raise ConfigError(f"type {name!r} ({points[0].value}) cannot be loaded: {_told(error)}") from error


def _load_dotted(module_name: str, class_name: str, directory: Path | None) -> Any:
    module = _own_file(module_name, directory) or _installed(module_name, class_name, directory)
    found = getattr(module, class_name, None)
    if found is None:
        classes = [name for name, value in vars(module).items() if isinstance(value, type)]
        raise ConfigError(f"{module_name} has no class {class_name!r}; {nearest(class_name, classes)}")
    return found


def _installed(module_name: str, class_name: str, directory: Path | None) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise ConfigError(f"{module_name} cannot be imported: {_told(error)}") from error
        file = f"{module_name.replace('.', '/')}.py"
        where = f" beside the site file ({directory / file})" if directory else ""
        meant = nearest(f"{module_name}.{class_name}", registered_types())
        raise ConfigError(f"there is no {file}{where}, and no package of that name; {meant}") from error
    except Exception as error:
        raise ConfigError(f"{module_name} cannot be imported: {_told(error)}") from error


def _own_file(module_name: str, directory: Path | None) -> ModuleType | None:
    """Load a file beside the site file under a name of its own, so that two sites may each have a `dome.py`."""
    if directory is None:
        return None
    path = (directory / (module_name.replace(".", "/") + ".py")).resolve()
    if not path.is_file():
        return None
    name = f"pytel_site_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(directory))  # the file may import its neighbours
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ConfigError(f"{path.name} cannot be imported: {_told(error)}") from error
    finally:
        sys.path.remove(str(directory))
    return module


def _told(error: BaseException) -> str:
    """The original error with the last line of code it came from."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"
