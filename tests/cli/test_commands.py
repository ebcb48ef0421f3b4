"""The commands, against a real running site."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pytel.base.errors import PytelError, WireError
from pytel.cli import look
from pytel.cli.app import app

from .conftest import PYTEL


def pytel(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_every_command_has_help_with_an_example() -> None:
    names = [
        command.name or (command.callback.__name__ if command.callback else "") for command in app.registered_commands
    ]
    assert len(names) >= 11
    for name in names:
        result = pytel(name, "--help")
        assert result.exit_code == 0
        assert f"pytel {name}" in result.output.replace("\n", " "), name


def test_check_tells_faults_with_lines(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(
        "site:\n  name: a\n  latitude: 95\n  longitude: 20 m\nmodules:\n  dome: {type: simulated-dom}\n"
    )
    result = pytel("check", str(tmp_path / "site.yaml"))
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0] == "site.yaml:3: latitude is 95, but must be between -90 and 90 deg"
    assert lines[1].startswith("site.yaml:4: longitude is '20 m': unit 'm' does not fit: 'deg' or 'arcmin'")
    assert lines[2].startswith("site.yaml:6: type 'simulated-dom' is not registered; ")
    assert len(lines) == 3


def test_check_says_when_all_is_well(site_folder: Path) -> None:
    result = pytel("check", str(site_folder / "site.yaml"))
    assert result.exit_code == 0
    assert result.output.strip().endswith("site.yaml is fine: 2 modules")


def test_check_notes_what_may_go_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytel.bus.http.config._outgoing_ports", lambda: (8000, 9000))
    path = tmp_path / "site.yaml"
    path.write_text("site: {name: a, latitude: 1, longitude: 2}\nbus: http\nmodules:\n  gateway: {type: gateway}\n")
    result = pytel("check", str(path))
    assert result.exit_code == 0
    assert "note: port 8100 is one of those (8000 to 9000) that this system lends" in result.output


@pytest.mark.parametrize(
    ("bus", "name", "is_fine"), [("xmpp", "web", False), ("xmpp", "gateway", True), ("http", "web", True)]
)
def test_over_xmpp_a_gateway_has_the_name_of_its_account(tmp_path: Path, bus: str, name: str, is_fine: bool) -> None:
    path = tmp_path / "site.yaml"
    site = f"site: {{name: a, latitude: 1, longitude: 2}}\nbus: {bus}\nmodules:\n  {name}: {{type: gateway}}\n"
    path.write_text(site)
    result = pytel("check", str(path))
    assert (result.exit_code == 0) is is_fine
    assert is_fine or "site.yaml:4: over XMPP this module must be called 'gateway', not 'web'" in result.output


def test_simulated_devices_need_a_world(tmp_path: Path) -> None:
    site = "site: {name: a, latitude: 1, longitude: 2}\nmodules:\n  roof: {type: simulated-roof}\n"
    (tmp_path / "site.yaml").write_text(site)
    sentence = "site.yaml:3: roof needs the simulated world: add the line 'simulation: {}' to the file"
    for command in ("check", "run"):
        result = pytel(command, str(tmp_path / "site.yaml"))
        assert result.exit_code == 1
        assert sentence in result.output


def test_check_of_nothing() -> None:
    result = pytel("check", "/nowhere/site.yaml")
    assert result.exit_code == 1
    assert "/nowhere/site.yaml cannot be read: No such file or directory" in result.output


@pytest.mark.parametrize("command", [["modules"], ["state"], ["watch"], ["call", "camera.expose"], ["stop", "camera"]])
def test_without_a_site_there_is_a_sentence(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTEL_STATE", raising=False)
    result = pytel(*command)
    assert result.exit_code == 1
    assert result.output.startswith("no site is running in ./state or ./demo-night: start one with 'pytel run")


def test_an_old_socket_is_no_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
    monkeypatch.setenv("PYTEL_STATE", str(tmp_path))
    result = pytel("modules")
    assert result.exit_code == 1
    assert "no site is running in" in result.output


def test_modules(in_folder: Path) -> None:
    result = pytel("modules")
    assert result.exit_code == 0
    rows = {line.split()[0]: line.split() for line in result.output.splitlines()}
    assert rows["focuser"][1:3] == ["SlowFocuser", "ready"]
    assert rows["spare"][2] == "stopped"
    assert json.loads(pytel("modules", "--json").output)[0]["address"] == "focuser"


def test_state(in_folder: Path) -> None:
    output = pytel("state", "focuser").output
    assert "mm" in output
    states: list[dict[str, Any]] = json.loads(pytel("state", "focuser", "--json").output)
    assert {state["topic"].split(":")[3] for state in states} == {"Module", "Focuser"}
    assert "did you mean 'focuser'?" in pytel("state", "focusser").output


def test_call_a_long_method_with_a_quantity(in_folder: Path) -> None:
    result = pytel("call", "focuser.set_focus", "30 um")
    assert result.exit_code == 0, result.output
    states = json.loads(pytel("state", "focuser", "--json").output)
    assert [state["data"]["position"] for state in states if "Focuser" in state["topic"]] == [pytest.approx(0.03)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["focuser.set_focus", "position=300"], "LimitExceeded: 100 mm is the end of travel"),
        (["focuser.set_focus", "3", "4"], "InvalidParams: '4' is one argument too many; write name=value"),
        (
            ["focuser.set_focus", "positon=3"],
            "InvalidParams: there is no parameter 'positon'; did you mean 'position'?",
        ),
        (["focuser.set_focus", "3 arcsec"], "InvalidParams: position: unit 'arcsec' does not fit"),
        (["focuser.set_focus"], "InvalidParams: set_focus: set_focus lacks the key 'position'"),
        (["focuser.set_fokus", "3"], "MethodNotFound: focuser has no method 'set_fokus'; did you mean 'set_focus'?"),
        (["focusr.set_focus", "3"], "ModuleNotFound: there is no module 'focusr'; did you mean 'focuser'?"),
        (["focusr"], "ModuleNotFound: there is no module 'focusr'; did you mean 'focuser'?"),
    ],
)
def test_errors_are_sentences_with_their_name(in_folder: Path, arguments: list[str], sentence: str) -> None:
    result = pytel("call", *arguments)
    assert result.exit_code == 1
    assert result.output.startswith(sentence)


def test_an_error_that_only_the_module_knows_has_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: WireError = {"code": -32000, "message": "the lamp is cold", "data": {"name": "LampCold"}}

    def fail(*_: Any) -> None:
        raise PytelError.from_wire(sent)

    monkeypatch.setattr(look, "show_modules", fail)
    result = pytel("modules")
    assert (result.exit_code, result.output) == (1, "LampCold: the lamp is cold\n")


def test_call_of_a_module_alone_lists_its_methods(in_folder: Path) -> None:
    output = pytel("call", "focuser").output
    assert "focuser: Moves slowly." in output
    assert "position=[mm]" in output


def test_ctrl_c_cancels_a_long_call(in_folder: Path) -> None:
    process = subprocess.Popen([*PYTEL, "call", "focuser.set_focus", "60"], stderr=subprocess.PIPE, text=True)
    for _ in range(200):
        if "moving" in pytel("state", "focuser").output:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "focuser.set_focus was cancelled" in error
    jobs = json.loads(pytel("call", "--json", "focuser.job.list").output)
    assert jobs[-1]["status"] == "cancelled"
    assert jobs[-1]["origin"].startswith("cli/")


def test_start_stop_restart(in_folder: Path) -> None:
    assert pytel("start", "spare").output == "spare: started\n"
    assert pytel("start", "spare").output == "spare: runs already\n"
    assert pytel("restart", "spare").output == "spare: restarted\n"
    assert "spare" in pytel("call", "spare").output
    assert pytel("stop", "spare").output == "spare: stopped\n"
    assert pytel("stop", "spare").output == "spare: does not run\n"
    assert pytel("call", "spare.stop").exit_code == 1
    assert "the site file has no module 'dome'" in pytel("start", "dome").output


def test_watch_shows_what_happens(in_folder: Path) -> None:
    with subprocess.Popen([*PYTEL, "watch", "--json", "Focuser"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            first = json.loads(process.stdout.readline())
            assert first["kind"] == "state"
            mover = threading.Thread(target=pytel, args=("call", "focuser.set_focus", "7"))
            mover.start()
            seen = [json.loads(process.stdout.readline())["data"]["status"] for _ in range(2)]
            mover.join()
            assert seen == ["moving", "idle"]
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
        finally:
            process.kill()


def test_watch_of_a_kind_that_nobody_publishes(in_folder: Path) -> None:
    result = pytel("watch", "Focusser")
    assert result.exit_code == 1
    assert "nobody here publishes 'Focusser'; did you mean 'Focuser'?" in result.output


def test_a_second_run_in_the_same_directory_is_refused(in_folder: Path, pid: int) -> None:
    done = subprocess.run([*PYTEL, "run", "site.yaml"], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert f"already running in {in_folder / 'state'} as process {pid}" in done.stderr


def test_only_names_must_be_modules(site_folder: Path) -> None:
    result = pytel("run", str(site_folder / "site.yaml"), "--only", "focusr")
    assert result.exit_code == 1
    assert "did you mean 'focuser'?" in result.output
