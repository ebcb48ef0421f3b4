"""`pytel xmpp …` with real servers."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pytel.base.threads import in_thread
from pytel.cli.app import app
from pytel.cli.site_server import run_server_for, server_is_up, site_server
from pytel.cli.xmpp_commands import xmpp
from pytel.module.sitefile import load_site
from pytel.module.specs import SiteFile
from pytel.servers.certificates import ensure_certificates
from xmpp_client import Client, Refused, client
from xmpp_kit import free_port

from .conftest import PYTEL, SITE

pytestmark = pytest.mark.slow


@pytest.fixture(params=["prosody", "ejabberd"])
def site(request: pytest.FixtureRequest, tmp_path: Path, site_folder: Path) -> Path:
    return _site(tmp_path, site_folder, request.param)


@pytest.fixture
def prosody_site(tmp_path: Path, site_folder: Path) -> Path:
    return _site(tmp_path, site_folder, "prosody")


def _site(folder: Path, site_folder: Path, kind: str) -> Path:
    (folder / "mine.py").write_text((site_folder / "mine.py").read_text())
    path = folder / "site.yaml"
    path.write_text(
        f"{SITE}bus: xmpp\nxmpp: {{server: {kind}, port: {free_port()}, people: {{alice: operator, bob: viewer}}}}\n"
    )
    return path


def pytel(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["xmpp", *arguments])


def _passwords(site: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((site.parent / "state/xmpp/accounts.json").read_text())
    return found


def test_every_command_has_help_with_an_example() -> None:
    names = [command.name or getattr(command.callback, "__name__", "") for command in xmpp.registered_commands]
    assert names == ["init", "up", "passwd", "rotate", "accounts"]
    for name in names:
        assert f"pytel xmpp {name} site.yaml" in pytel(name, "--help").output.replace("\n", " ")


def test_init_makes_all_accounts_and_keeps_what_is_there(site: Path) -> None:
    assert pytel("init", str(site)).exit_code == 0
    before = {path: path.read_bytes() for path in (site.parent / "state/xmpp").glob("*.*")}
    passwords = _passwords(site)
    assert set(passwords) == {"focuser", "spare", "site", "cli", "gateway", "alice", "bob"}
    assert len(set(passwords.values())) == 7
    assert min(len(password) for password in passwords.values()) >= 20
    assert (site.parent / "state/xmpp/accounts.json").stat().st_mode & 0o777 == 0o600
    again = pytel("init", str(site))
    assert "all accounts have passwords" in again.output
    assert before == {path: path.read_bytes() for path in (site.parent / "state/xmpp").glob("*.*")}


async def test_passwords_can_be_changed_while_the_server_runs(site: Path) -> None:
    loaded = await in_thread(load_site, site)
    running = run_server_for(loaded)
    server = await in_thread(running.__enter__)
    try:
        old = await in_thread(_passwords, site)
        assert await in_thread(server_is_up, loaded)
        async with client(server, "focuser", old["focuser"]):
            pass
        generated = await in_thread(pytel, "passwd", str(site), "alice", "--generate")
        async with client(server, "alice", generated.stdout.strip().splitlines()[0]):
            pass
        prompted = CliRunner()
        done = await in_thread(
            prompted.invoke, app, ["xmpp", "passwd", str(site), "bob"], input="correct horse\ncorrect horse\n"
        )
        assert done.exit_code == 0, done.output
        async with client(server, "bob", "correct horse"):
            pass
        assert "the server knows it" in (await in_thread(pytel, "rotate", str(site))).output
        new = await in_thread(_passwords, site)
        assert not {old[name] for name in ("focuser", "site", "cli")} & set(new.values())
        refused = Client(server, "focuser", old["focuser"])
        with pytest.raises(Refused):
            await refused.log_in()
        await refused.leave()
        async with client(server, "focuser", new["focuser"]):
            pass
        listed = (await in_thread(pytel, "accounts", str(site))).output
        assert "alice    person (operator)     has a password, on the server" in listed
    finally:
        await in_thread(running.__exit__, None, None, None)
    assert not await in_thread(server_is_up, loaded)


def test_who_is_no_longer_named_loses_the_account(prosody_site: Path) -> None:
    with run_server_for(load_site(prosody_site)) as server:
        assert "bob" in server.accounts()
    prosody_site.write_text(prosody_site.read_text().replace(", bob: viewer", ""))
    with run_server_for(load_site(prosody_site)) as server:
        assert "bob" not in server.accounts()
        assert "alice" in server.accounts()
    assert "bob" not in _passwords(prosody_site)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_up_runs_until_it_is_stopped(prosody_site: Path, stop: signal.Signals) -> None:
    site = load_site(prosody_site)
    output = prosody_site.parent / "output"
    with output.open("w") as file:
        process = subprocess.Popen([*PYTEL, "xmpp", "up", "site.yaml"], cwd=prosody_site.parent, stderr=file)
    try:
        _until(lambda: "Ctrl-C stops it" in output.read_text())
        assert server_is_up(site)
        second = pytel("up", str(prosody_site))
        assert second.exit_code == 1
        assert "already running" in second.output
    finally:
        process.send_signal(stop)
        assert process.wait(20) == 0
    assert not server_is_up(site)


def test_what_cannot_be_is_told_in_sentences(prosody_site: Path) -> None:
    assert (
        "focuser is no person of this site (it has alice, bob)"
        in pytel("passwd", str(prosody_site), "focuser", "--generate").output
    )
    assert "dome is no module of this site" in pytel("rotate", str(prosody_site), "dome").output
    assert "there are prosody and ejabberd" in pytel("up", str(prosody_site), "--server", "openfire").output
    short = CliRunner().invoke(app, ["xmpp", "passwd", str(prosody_site), "bob"], input="short\nshort\n")
    assert "8 to 256 printable" in short.output
    prosody_site.write_text(prosody_site.read_text().replace("server: prosody", "server: external"))
    assert "somebody else runs it" in pytel("up", str(prosody_site)).output
    assert pytel("rotate", str(prosody_site)).output.strip().endswith("tell it to the administrator of your server")


def test_a_password_is_on_no_command_line(prosody_site: Path) -> None:
    with run_server_for(load_site(prosody_site)) as server:
        line = Path(f"/proc/{server.pid}/cmdline").read_bytes() + Path(f"/proc/{server.pid}/environ").read_bytes()
        assert not [word for word in _passwords(prosody_site).values() if word.encode() in line]
    assert site_server(load_site(prosody_site)).pid == 0


def _until(condition: object) -> None:
    end = time.monotonic() + 20
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)


def with_foreign_certificate(site: Path) -> SiteFile:
    elsewhere = site.parent / "elsewhere"
    elsewhere.mkdir()
    certificate, key = ensure_certificates(elsewhere, "test.localhost", elsewhere / "authority.crt")
    section = f"certificate: {certificate}, key: elsewhere/{key.name}, ca: elsewhere/authority.crt, "
    site.write_text(site.read_text().replace("xmpp: {", f"xmpp: {{domain: test.localhost, {section}"))
    return load_site(site)


async def test_a_certificate_that_somebody_else_has_signed(site: Path) -> None:
    told = await in_thread(with_foreign_certificate, site)
    running = run_server_for(told)
    server = await in_thread(running.__enter__)
    try:
        assert server.ca_file.name == "authority.crt"
        passwords = await in_thread(_passwords, site)
        async with client(server, "alice", passwords["alice"]):
            pass
        assert not await in_thread((site.parent / "state/xmpp/ca.key").exists)
    finally:
        await in_thread(running.__exit__, None, None, None)
