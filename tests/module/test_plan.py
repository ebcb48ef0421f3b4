"""What a module process is given to read: all that the site file says of its modules, and nothing of the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pytel.base.errors import ConfigError
from pytel.module.plan import checksum, loaded, members_of, parse_plan, plan_of, process_names, read_plan, write_plan
from pytel.module.sitefile import SiteFile, load_site

SITE = """\
site: {name: here, latitude: -32.38, longitude: 20.81, elevation: 1771 m}
seed: 7
simulation: {pixels: stamp}
time: {mode: scaled, rate: 60, start: 2026-06-15T16:00}
bus: xmpp
xmpp: {port: 7, people: {alice: operator}}
modules:
  camera: {type: mine.Camera, password: {file: secret}, settle: 2 min, since: 2026-01-01T00:00}
  spare: {type: mine.Camera, autostart: false, primary: true}
groups:
  south: {modules: {camera: {type: other.Camera}}}
processes:
  both: [camera, spare]
"""
MINE = """
from datetime import datetime
from pytel.base.units import Seconds
from pytel.module.secrets import Secret
from pytel.services import Module, ModuleConfig


class Camera(Module):
    class Config(ModuleConfig, frozen=True, kw_only=True):
        password: Secret | None = None
        settle: Seconds = 1.0
        since: datetime | None = None
        names: dict[str, int] = {}
"""


@pytest.fixture
def site(tmp_path: Path) -> SiteFile:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "other.py").write_text(MINE)
    (tmp_path / "site.yaml").write_text(
        SITE.replace("camera: {type: mine", "eye: {type: mine", 1).replace("[camera", "[eye")
    )
    return load_site(tmp_path / "site.yaml")


def test_a_process_gets_what_the_site_file_says_of_it(site: SiteFile, tmp_path: Path) -> None:
    assert process_names(site) == ["both", "south.camera"]
    assert [spec.name for spec in members_of(site, "both")] == ["eye", "spare"]
    path = tmp_path / "process" / "plan.json"
    data = plan_of(site, "both")
    assert write_plan(path, data) == checksum(data)
    plan = read_plan(path)
    assert plan.autostart == ["eye"]
    again = loaded(plan)
    assert again.info == site.info
    assert again.time == site.time
    assert again.xmpp == site.xmpp
    for one, other in zip(again.modules, members_of(site, "both"), strict=True):
        assert (one.address, one.kind, one.config, one.primary) == (
            other.address,
            other.kind,
            other.config,
            other.primary,
        )
    assert [spec.name for spec in loaded(plan, ["spare"]).modules] == ["spare"]


def test_a_process_imports_no_class_of_others(site: SiteFile, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(plan_of(site, "both"))
    look = (
        "import sys; from pathlib import Path; import pytel.cli.child; from pytel.module.plan import *;"
        f"loaded(read_plan(Path({str(path)!r})));"
        "heavy = {'ruamel', 'typer', 'rich', 'click', 'numpy', 'astropy', 'importlib.metadata', 'slixmpp', 'aiohttp'};"
        "print(sorted(heavy & set(sys.modules)), [n for n in sys.modules if n.endswith(('_mine', '_other'))])"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("[] ['pytel_site_")
    assert "_other" not in done.stdout


def test_only_what_concerns_a_process_changes_its_plan(site: SiteFile) -> None:
    spec = site.modules[-1]
    other = msgspec.structs.replace(spec, primary=True)
    changed = msgspec.structs.replace(site, modules=(*site.modules[:-1], other))
    assert plan_of(changed, "both") == plan_of(site, "both")
    assert plan_of(changed, "south.camera") != plan_of(site, "south.camera")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'"given":{', b'"given":{"gian":1,', "pytel check"),
        (b"mine.Camera", b"mine.Camra", "did you mean 'Camera'"),
    ],
)
def test_a_plan_that_fits_no_code_is_told(site: SiteFile, tmp_path: Path, old: bytes, new: bytes, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        loaded(parse_plan(plan_of(site, "both").replace(old, new), tmp_path))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"version": 3}'])
def test_a_broken_plan_is_told(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="start the site again"):
        parse_plan(data, tmp_path)


def test_a_plan_of_another_version_is_told(site: SiteFile, tmp_path: Path) -> None:
    data = plan_of(site, "both").replace(b'"version":"', b'"version":"9')
    with pytest.raises(ConfigError, match="this is"):
        parse_plan(data, tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_plan(tmp_path / "nowhere")
