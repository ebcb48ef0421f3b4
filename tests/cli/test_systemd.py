"""The units that `pytel systemd` writes, and a unit's process as systemd would run it."""

from __future__ import annotations

import configparser
import os
import shlex
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from process_kit import MINE
from pytel.base.errors import ConfigError
from pytel.cli.systemd import units_of
from pytel.module.process_wire import EXIT_CONFIG
from pytel.module.sitefile import load_site

SITE = """\
site: {name: here, latitude: -32.38, longitude: 20.81, elevation: 1771 m}
bus: xmpp
xmpp: {server: prosody, port: 5}
modules:
  weather: {type: mine.Station}
  roof: {type: mine.Dome}
  camera: {type: mine.Odd, word: "50 % $HOME \\"quoted\\""}
  focuser: {type: mine.Odd}
  observer: {type: mine.Robot}
processes:
  optics: [camera, focuser]
"""
KINDS = """
from pytel.interfaces.enclosure import Enclosure
from pytel.interfaces.observer import Observer
from pytel.interfaces.weather import WeatherStation


class Station(Odd, WeatherStation):
    '''Measures.'''


class Dome(Odd, Enclosure):
    '''Closes.'''

    stop_deadline = 150.0


class Robot(Odd, Observer):
    '''Observes.'''
"""


def site_in(folder: Path, text: str = SITE) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "mine.py").write_text(MINE + KINDS)
    (folder / "site.yaml").write_text(text)
    return folder / "site.yaml"


def units(path: Path) -> dict[str, configparser.ConfigParser]:
    parsed = {}
    for name, text in units_of(load_site(path), path, "nobody").items():
        parsed[name] = configparser.ConfigParser(interpolation=None, strict=True)
        parsed[name].optionxform = str  # type: ignore[assignment,method-assign]
        parsed[name].read_string(text)
    return parsed


def test_each_process_has_a_service_of_its_own(tmp_path: Path) -> None:
    written = units(site_in(tmp_path))
    assert set(written) == {
        "pytel-here.target",
        "pytel-here-xmpp.service",
        *(f"pytel-here-{name}.service" for name in ("weather", "roof", "optics", "observer")),
    }
    assert set(written["pytel-here.target"]["Unit"]["Wants"].split()) == set(written) - {"pytel-here.target"}
    roof = written["pytel-here-roof.service"]
    assert roof["Service"]["Type"] == "notify"
    assert roof["Service"]["TimeoutStopSec"] == "460"
    assert roof["Service"]["RestartPreventExitStatus"] == "78 79"
    assert roof["Service"]["ReadWritePaths"] == str(tmp_path / "state")
    assert "PrivateTmp" not in roof["Service"] or not tmp_path.is_relative_to("/tmp")
    assert roof["Unit"]["After"].split()[-2:] == ["pytel-here-xmpp.service", "pytel-here-weather.service"]
    robot = written["pytel-here-observer.service"]["Unit"]["After"].split()
    assert {f"pytel-here-{name}.service" for name in ("weather", "roof", "optics")} < set(robot)


def test_one_process_is_one_service(tmp_path: Path) -> None:
    written = units(site_in(tmp_path, SITE.replace("bus: xmpp\nxmpp: {server: prosody, port: 5}\n", "")))
    assert set(written) == {"pytel-here.target", "pytel-here-site.service"}
    assert " run " in written["pytel-here-site.service"]["Service"]["ExecStart"]


def test_a_simulated_site_has_no_units(tmp_path: Path) -> None:
    path = site_in(tmp_path, f"{SITE}simulation: {{}}\n")
    with pytest.raises(ConfigError, match="belongs to 'pytel run'"):
        units(path)


def test_a_site_that_cannot_run_has_no_units(tmp_path: Path) -> None:
    path = site_in(tmp_path, SITE.replace("mine.Station", "simulated-weather"))
    with pytest.raises(ConfigError, match=r"add the line 'simulation: \{\}'"):
        units(path)


def test_systemd_finds_nothing_wrong_with_them(tmp_path: Path) -> None:
    path = site_in(tmp_path / "a site with 100 % blanks")
    out = tmp_path / "units"
    out.mkdir()
    (path.parent / "state").mkdir()
    for name, text in units_of(load_site(path), path, "root", has_backoff=False).items():
        (out / name).write_text(text)
    files = sorted(str(file) for file in out.iterdir())
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning", "SYSTEMD_UNIT_PATH": f"{out}:"},
        check=False,
    )
    complaints = [line for line in checked.stderr.splitlines() if "pytel-here" in line]
    assert complaints == []


class Notified:
    """What a service tells systemd."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(30.0)
        self.told: list[str] = []

    def wait_for(self, word: str) -> None:
        while word not in self.told:
            self.told += self._socket.recv(4096).decode().splitlines()

    def close(self) -> None:
        self._socket.close()


@pytest.mark.slow
def test_a_service_tells_systemd_how_it_fares(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = site_in(tmp_path, SITE.replace("server: prosody", "server: external"))
    accounts = tmp_path / "state" / "xmpp" / "accounts.json"
    accounts.parent.mkdir(parents=True)
    accounts.touch(0o600)
    accounts.write_text('{"roof": "secret"}')
    unit = units(path)["pytel-here-roof.service"]["Service"]
    place = tmp_path_factory.mktemp("n") / "n"
    notified = Notified(place)
    # Nobody listens at that port: the module waits for its server, as after a power cut, and the service is up.
    environment = {**os.environ, "NOTIFY_SOCKET": str(place), "WATCHDOG_USEC": "30000000"}
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen(shlex.split(unit["ExecStart"]), env=environment, stdout=output, stderr=output)
    try:
        notified.wait_for("WATCHDOG=1")
        notified.wait_for("READY=1")
        process.send_signal(signal.SIGTERM)
        notified.wait_for("STOPPING=1")
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait(10)
        notified.close()
    assert "<3>" in (tmp_path / "output").read_text()  # the journal knows an error when it sees one


def test_a_wrong_site_file_is_for_a_person(tmp_path: Path) -> None:
    path = site_in(tmp_path)
    unit = units(path)["pytel-here-roof.service"]["Service"]
    path.write_text(SITE.replace("mine.Dome", "mine.Doom"))
    ended = subprocess.run(shlex.split(unit["ExecStart"]), capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == EXIT_CONFIG
    assert "did you mean 'Dome'" in ended.stderr
