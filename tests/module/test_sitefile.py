"""Site files: what a good one gives, and one sentence with its line for each thing that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytel.base.errors import ConfigError
from pytel.base.units import Arcsec, Seconds
from pytel.interfaces.camera import Camera
from pytel.interfaces.focuser import Focuser
from pytel.interfaces.weather import WeatherStation
from pytel.module import registry
from pytel.module.config import ModuleConfig
from pytel.module.secrets import Secret
from pytel.module.sitefile import SiteFile, check_site, load_site, parse_site

HEAD = """\
site: {name: sutherland, latitude: -32.38, longitude: 20.81, elevation: 1771 m}
modules:
"""


class FakeConfig(ModuleConfig, frozen=True, kw_only=True):
    gain: float = 1.0
    max_offset: Arcsec = 30.0
    settle: Seconds = 1.0
    password: Secret | None = None


class FakeCamera(Camera):
    is_module: ClassVar[bool] = True
    Config = FakeConfig


class FakeFocuser(Focuser):
    is_module: ClassVar[bool] = True


class FakeWeather(WeatherStation):
    is_module: ClassVar[bool] = True


class FakePoint:
    def __init__(self, name: str, kind: type, owner: str = "pytel-ocs") -> None:
        self.name, self.value, self._kind = name, f"fake:{kind.__name__}", kind
        self.dist = type("Dist", (), {"name": owner})()

    def load(self) -> type:
        return self._kind


@pytest.fixture(autouse=True)
def types(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"simulated-camera": FakeCamera, "simulated-focuser": FakeFocuser, "simulated-weather": FakeWeather}
    points: dict[str, tuple[Any, ...]] = {name: (FakePoint(name, kind),) for name, kind in kinds.items()}
    points["claimed-twice"] = (FakePoint("claimed-twice", FakeCamera), FakePoint("claimed-twice", FakeCamera, "other"))
    monkeypatch.setattr(registry, "_registered", lambda group: points if group == registry.MODULES else {})


def faults(text: str) -> list[str]:
    site, found = parse_site(text)
    assert (site is None) == bool(found)
    return [str(fault) for fault in found]


def good(text: str) -> SiteFile:
    site, found = parse_site(text)
    assert not found
    assert site is not None
    return site


def test_a_good_site_file(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(
        HEAD
        + "  camera: {type: simulated-camera, gain: 2, max_offset: 0.5 arcmin, settle: 2 min}\n"
        + "  focuser: {type: simulated-focuser, uses: {Camera: camera}, autostart: false}\n"
        + "time: {mode: scaled, rate: 60, start: 2026-06-15T16:00}\nseed: 3\n"
    )
    site = load_site(path)
    assert site.info.name == "sutherland"
    assert site.info.location.elevation == 1771
    assert site.info.seed == 3
    assert site.info.state_dir == tmp_path / "state"
    assert site.time.start is not None
    assert site.time.start.tzinfo is not None
    camera, focuser = site.modules
    assert camera.config == FakeConfig(gain=2.0, max_offset=30.0, settle=120.0)
    assert camera.kind is FakeCamera
    assert camera.line == 3
    assert not focuser.autostart
    assert focuser.uses == {"Camera": "camera"}


PAIR = HEAD + "  camera: {type: simulated-camera}\n  focuser: {type: simulated-focuser}\nprocesses:\n"


def test_modules_that_share_a_process() -> None:
    site = good(PAIR + "  optics: [focuser, camera]\n")
    assert site.processes == {"optics": ("focuser", "camera")}
    assert {site.process_of(spec.address) for spec in site.modules} == {"optics"}
    alone = good(PAIR + "  camera: [camera]\n")
    assert [alone.process_of(spec.address) for spec in alone.modules] == ["camera", "focuser"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("  optics: [focusr]\n", "site.yaml:6: optics: no module is called 'focusr'; did you mean 'focuser'?"),
        (
            "  one: [focuser]\n  two:\n  - camera\n  - focuser\n",
            "site.yaml:9: 'focuser' already is in the process one in line 6: keep one of both",
        ),
        (
            "  one: [focuser, focuser]\n",
            "site.yaml:6: 'focuser' already is in the process one in line 6: keep one of both",
        ),
        (
            "  camera: [focuser]\n",
            "site.yaml:6: 'camera' is also a module, which has a process of its own: choose another name",
        ),
        ("  Optics: [focuser]\n", "site.yaml:6: 'Optics' cannot be a process's name: write it as a module's"),
        ("  optics: focuser\n", "site.yaml:6: optics must be a list, not 'focuser'"),
    ],
)
def test_what_is_wrong_with_processes(text: str, sentence: str) -> None:
    assert faults(PAIR + text) == [sentence]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            HEAD + "  camera: {type: simulated-camera}\n  focuser:\n    type: simulated-focuser\n    gian: 3\n",
            "site.yaml:6: unknown key 'gian' in focuser; none is known here",
        ),
        (
            HEAD + "  camera:\n    type: simulated-camera\n    gian: 3\n",
            "site.yaml:5: unknown key 'gian' in camera; did you mean 'gain'?",
        ),
        (
            HEAD + "  camera:\n    type: simulated-camera\n    settle: 30 arcsec\n",
            "site.yaml:5: settle is '30 arcsec': unit 'arcsec' does not fit: "
            "'s' or 'ms' or 'min' or 'h' or 'd' is expected",
        ),
        (
            HEAD + "  camera: {type: simulated-camra}\n",
            "site.yaml:3: type 'simulated-camra' is not registered; did you mean 'simulated-camera'?",
        ),
        (
            "site:\n  name: a\n  latitude: 95\n  longitude: 20\n",
            "site.yaml:3: latitude is 95, but must be between -90 and 90 deg",
        ),
        (
            HEAD + "  camera: {type: simulated-camera}\n  camera: {type: simulated-camera}\n",
            "site.yaml:4: 'camera' stands here a second time; the first is in line 3",
        ),
        (
            HEAD + "  camera: {type: simulated-camera}\n"
            "groups:\n  south:\n    modules:\n      camera: {type: simulated-camera}\n",
            "site.yaml:7: 'camera' is already the name of a module of the shared modules, in line 3",
        ),
        (
            HEAD + "  camera: {type: claimed-twice}\n",
            "site.yaml:3: type 'claimed-twice' is claimed by two packages: pytel-ocs (fake:FakeCamera) and "
            "other (fake:FakeCamera); uninstall one or use a dotted path",
        ),
        (
            HEAD + "  Camera 1: {type: simulated-camera}\n",
            "site.yaml:3: 'Camera 1' cannot be a module's name: "
            "write up to 63 of a-z, 0-9, '_' and '-', beginning with a letter",
        ),
        (
            HEAD + "  site: {type: simulated-camera}\n",
            "site.yaml:3: 'site' cannot be a module's name: it is reserved for the supervisor",
        ),
        (HEAD + "  camera: {gain: 2}\n", "site.yaml:3: camera lacks the key 'type'"),
        (HEAD + "  camera:\n", "site.yaml:3: camera must be a section such as {type: simulated-camera}"),
        (
            HEAD + "  camera: {type: simulated-camera}\n  focuser:\n    type: simulated-focuser\n"
            "    uses: {Camera: camra}\n",
            "site.yaml:6: uses: focuser sees no module called 'camra'; did you mean 'camera'?",
        ),
        (
            HEAD + "  camera: {type: simulated-camera}\n  a: {type: simulated-focuser}\n"
            "  b: {type: simulated-weather, uses: {Camera: a}}\n",
            "site.yaml:5: uses: a does not offer Camera, only Focuser",
        ),
        (
            HEAD + "  camera: {type: simulated-camera}\n  guidecam: {type: simulated-camera}\n",
            "site.yaml:4: camera and guidecam both offer Camera and nothing decides: mark one with 'primary: true', "
            "or say 'uses: {Camera: …}' where it is needed",
        ),
        (
            HEAD + "  camera: {type: simulated-camera, password: hunter2}\n",
            "site.yaml:3: password is a secret: write {env: NAME} or {file: path}, never the secret",
        ),
        ("site: [1\n", "site.yaml:2: this is no YAML: while parsing a flow sequence, expected ',' or ']', but got"),
        ("", "site.yaml:1: the file is empty"),
        ("3", "site.yaml:1: the file must be a section with keys and values, not 3"),
        (HEAD + "time: {mode: quick}\n", "site.yaml:3: mode is 'quick'; known are real, scaled"),
        (HEAD + "bus: xmmp\n", "site.yaml:3: bus is 'xmmp'; did you mean 'xmpp'?"),
        (HEAD + "modul: {}\n", "site.yaml:3: unknown key 'modul' in the file; did you mean 'modules'?"),
    ],
)
def test_each_fault_gets_one_sentence_with_its_line(text: str, sentence: str) -> None:
    found = faults(text)
    assert len(found) == 1, found
    assert found[0].startswith(sentence)


def test_all_faults_come_at_once_in_the_order_of_lines() -> None:
    text = (
        "site: {name: a, latitude: 95, longitude: 20}\nmodules:\n"
        "  camera: {type: simulated-camera, gain: high}\n  dome: {type: simulated-dom}\nsed: 1\n"
    )
    assert [int(sentence.split(":")[1]) for sentence in faults(text)] == [1, 3, 4, 5]


def test_secrets_are_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    monkeypatch.setenv("DOME_PASSWORD", "hunter3")
    (tmp_path / "site.yaml").write_text(
        HEAD
        + "  camera: {type: simulated-camera, primary: true, password: {file: password}}\n"
        + "  guidecam: {type: simulated-camera, password: {env: DOME_PASSWORD}}\n"
    )
    configs = [spec.config for spec in load_site(tmp_path / "site.yaml").modules]
    secrets = [config.password.reveal() for config in configs if isinstance(config, FakeConfig) and config.password]
    assert secrets == ["hunter2", "hunter3"]
    monkeypatch.delenv("DOME_PASSWORD")
    with pytest.raises(ConfigError, match="DOME_PASSWORD"):
        Secret(env="DOME_PASSWORD").reveal()


def test_two_groups_may_have_modules_of_the_same_name() -> None:
    site = good(
        HEAD
        + "groups:\n  north: {modules: {camera: {type: simulated-camera}}}\n"
        + "  south: {modules: {camera: {type: simulated-camera}}}\n"
    )
    assert [str(spec.address) for spec in site.modules] == ["north.camera", "south.camera"]


def test_what_is_asked_for_from_all_may_be_offered_by_several() -> None:
    good(HEAD + "  mast: {type: simulated-weather}\n  roof: {type: simulated-weather}\n")


@pytest.mark.parametrize("type_name", ["mydome:MyDome", "mydome.MyDome"])
def test_a_class_in_ones_own_file_beside_the_site_file(tmp_path: Path, type_name: str) -> None:
    (tmp_path / "speeds.py").write_text("SPEED = 3.0\n")
    (tmp_path / "mydome.py").write_text(
        "from __future__ import annotations\n"
        "from speeds import SPEED\n"
        "from pytel.module.config import ModuleConfig\n"
        "class MyDome:\n"
        "    is_module = True\n"
        "    class Config(ModuleConfig, frozen=True, kw_only=True):\n"
        "        speed: float = SPEED\n"
    )
    (tmp_path / "site.yaml").write_text(HEAD + f"  dome: {{type: {type_name}, speed: 4}}\n")
    (spec,) = load_site(tmp_path / "site.yaml").modules
    assert spec.kind.__name__ == "MyDome"
    assert getattr(spec.config, "speed") == 4  # noqa: B009 - the class is not known here


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import nowhere_at_all\n", "mydome.py cannot be imported: ModuleNotFoundError: No module named 'nowhere_at"),
        ("class MyDome(:\n", "mydome.py cannot be imported: SyntaxError"),
        ("x = 1 / 0\n", "mydome.py cannot be imported: ZeroDivisionError: division by zero (mydome.py, line 1)"),
        ("class MyDom: pass\n", "mydome has no class 'MyDome'; did you mean 'MyDom'?"),
        ("class MyDome: pass\n", "type 'mydome:MyDome' is no module class"),
    ],
)
def test_a_file_of_ones_own_that_does_not_load(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "mydome.py").write_text(source)
    (tmp_path / "site.yaml").write_text(HEAD + "  dome: {type: mydome:MyDome}\n")
    _, (fault,) = check_site(tmp_path / "site.yaml")
    assert fault.line == 3
    assert fault.message.startswith(message)


def test_a_dotted_path_that_leads_nowhere() -> None:
    (sentence,) = faults(HEAD + "  dome: {type: mydome:MyDome}\n")
    assert sentence.startswith("site.yaml:3: there is no mydome.py beside the site file")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "cannot be read: No such file"),
        (lambda path: path.mkdir(), "cannot be read: Is a directory"),
        (lambda path: path.write_bytes(b"\xff\xfe"), "is not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_opened(tmp_path: Path, write: Callable[[Path], None], message: str) -> None:
    write(tmp_path / "site.yaml")
    with pytest.raises(ConfigError, match=message):
        check_site(tmp_path / "site.yaml")


WORDS = st.sampled_from(
    ["site", "modules", "camera", "type", "simulated-camera", "name", "latitude", "uses", "groups", "95", "30 arcsec",
     "null", "-1e999", "*a", "&a", "[", "]", "{", "}", ":", "\n", "\n  ", "- ", "'", '"', "!!x", "%", "#", "? ", "<<"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=200) | st.lists(WORDS, max_size=25).map(" ".join) | st.lists(WORDS).map("".join))
def test_no_text_crashes_the_reader(text: str) -> None:
    faults(text)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(modules=VALUES, other=st.dictionaries(WORDS, VALUES, max_size=3))
def test_no_structure_crashes_the_reader(modules: Any, other: dict[str, Any]) -> None:
    site, found = parse_site({"site": {"name": "a", "latitude": 1, "longitude": 2}, "modules": modules, **other})
    assert (site is None) == bool(found)
