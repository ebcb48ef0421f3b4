"""Start, stop, death and return."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytel.base.errors import ConfigError
from pytel.base.lock import AlreadyRunning
from pytel.base.threads import in_thread
from pytel.servers import PortTaken, ServerFailed, ServerMissing, ServerNotRunning, ServerSetup, XmppServer, server_for
from xmpp_client import client
from xmpp_kit import KINDS, Kind, free_port, server_account, started_server

pytestmark = pytest.mark.slow

EVENT = "urn:pytel:event:NewImage"
STATE = "urn:pytel:state:Telescope"


@pytest.fixture(params=KINDS)
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[XmppServer]:
    kind: Kind = request.param
    server = started_server(kind, tmp_path)
    yield server
    server.stop()
    server.remove_files()


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_accounts_and_nodes_outlive_a_restart(own: XmppServer, end: str) -> None:
    password = await in_thread(server_account, own, "camera")
    async with client(own, "camera", password) as one:
        for number in range(205):
            await one.publish(EVENT, str(number), item_id=f"a-{number}")
        for number in range(3):
            await one.publish(STATE, str(number), item_id=f"s-{number}")
        if own.setup.kind == "ejabberd":  # its database writes behind: what a SIGKILL takes is the last seconds
            await in_thread(_wait_on_disk, own, b"s-2")
        await in_thread(getattr(own, end))
        assert not own.running
        assert own.pid == 0
    await in_thread(own.start)
    assert await in_thread(own.accounts) == ["camera"]
    async with client(own, "camera", password) as one:
        kept = await one.items_of(one.boundjid.bare, EVENT)
        states = await one.items_of(one.boundjid.bare, STATE)
        first = 6
        if own.setup.kind == "prosody":  # keeps items in its memory alone; modules give theirs again
            assert (kept, states) == ([], [])
            first = 205
        else:  # after a SIGKILL it may have forgotten that it had dropped the oldest; the next item reminds it
            assert set(kept) >= {f"a-{number}" for number in range(5, 205)}
            assert "s-2" in states
            assert end == "kill" or (len(kept), len(states)) == (200, 1)
        await one.publish(EVENT, "205", item_id="a-205")
        await one.publish(STATE, "3", item_id="s-3")
        kept = await one.items_of(one.boundjid.bare, EVENT)
        assert set(kept) == {f"a-{number}" for number in range(first, 206)}
        assert await one.items_of(one.boundjid.bare, STATE) == ["s-3"]


def _wait_on_disk(server: XmppServer, content: bytes) -> None:
    until = time.monotonic() + 30
    while not any(content in path.read_bytes() for path in server.home.rglob("*") if path.is_file()):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_configuration_and_certificates_are_kept(own: XmppServer) -> None:
    before = {path: path.read_bytes() for path in own.directory.glob("*.*") if path.is_file()}
    server_for(own.setup).write()
    assert before == {path: path.read_bytes() for path in own.directory.glob("*.*") if path.is_file()}


def test_it_does_not_start_twice(own: XmppServer) -> None:
    with pytest.raises(AlreadyRunning):
        server_for(own.setup).start()
    assert own.running


def test_another_object_may_change_accounts_while_it_runs(own: XmppServer) -> None:
    other = server_for(own.setup)
    other.set_password("camera", "secret-secret")
    assert own.accounts() == other.accounts() == ["camera"]
    other.remove_account("camera")
    other.remove_account("camera")
    assert own.accounts() == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_taken_port_is_named(kind: Kind, tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        server = server_for(ServerSetup(kind=kind, domain="pytel.test", directory=tmp_path, port=port))
        server.write()
        with pytest.raises(PortTaken, match=f"port {port} of 127.0.0.1 is taken by another program"):
            server.start()
    assert not server.running


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_configuration_tells_the_last_words(kind: Kind, tmp_path: Path) -> None:
    server = server_for(ServerSetup(kind=kind, domain="pytel.test", directory=tmp_path, port=free_port()))
    server.write()
    for path in (*server.home.glob("*.lua"), *server.home.glob("*.yml")):
        path.write_text("{{{ nonsense")
    with pytest.raises(ServerFailed, match=r"(?s)Its last words:\n.*\w"):
        server.start(deadline=20)
    assert not server.running


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_answers_before_it_runs(kind: Kind, tmp_path: Path) -> None:
    server = server_for(ServerSetup(kind=kind, domain="pytel.test", directory=tmp_path, port=free_port()))
    server.write()
    with pytest.raises(ServerNotRunning, match="start it first"):
        server.accounts()
    server.stop()
    server.kill()


@pytest.mark.parametrize(("kind", "program"), [("prosody", "prosody"), ("ejabberd", "erl")])
def test_a_missing_package_is_named(kind: Kind, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = server_for(ServerSetup(kind=kind, domain="pytel.test", directory=tmp_path, port=free_port()))
    server.write()
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(ServerMissing, match=f"apt-get install {kind}"):
        server.start()


@pytest.mark.parametrize("kind", KINDS)
def test_it_ends_with_its_parent(kind: Kind, tmp_path: Path) -> None:
    port = free_port()
    program = (
        "import sys, threading, time; from pathlib import Path; from pytel.servers import *\n"
        f"where = Path({str(tmp_path)!r})\n"
        f"s = server_for(ServerSetup(kind={kind!r}, domain='pytel.test', directory=where, port={port}))\n"
        "s.write()\n"
        "thread = threading.Thread(target=s.start); thread.start(); thread.join()\n"
        "time.sleep(1); print(s.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        server_pid = int(parent.stdout.readline())
    descriptor = os.pidfd_open(server_pid)
    try:
        parent.send_signal(signal.SIGKILL)
        parent.wait(10)
        import select

        assert select.select([descriptor], [], [], 20)[0], "the server outlived its parent"
    finally:
        os.close(descriptor)
    again = server_for(ServerSetup(kind=kind, domain="pytel.test", directory=tmp_path, port=port))
    again.write()
    again.start()
    again.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_long_paths_and_odd_names_of_directories(kind: Kind, tmp_path: Path) -> None:
    directory = tmp_path / ("long " * 20) / 'with "quotes" and \\ and é'
    server = started_server(kind, directory)
    try:
        server.set_password("camera", "secret-secret")
        assert server_for(server.setup).accounts() == ["camera"]
    finally:
        server.stop()
        server.remove_files()
    assert not server.home.exists()


def test_setups_that_cannot_be_are_refused(tmp_path: Path) -> None:
    for wrong in ({"domain": "a b"}, {"domain": 'x"; os.exit() --'}, {"host": "nowhere"}, {"people": ("Å",)}):
        with pytest.raises(ConfigError):
            ServerSetup(**{"kind": "prosody", "domain": "pytel.test", "directory": tmp_path, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("password", ["short", "line\nfeed-line", "é" * 10, "x" * 300])
def test_passwords_that_make_trouble_are_refused(tmp_path: Path, password: str) -> None:
    server = server_for(ServerSetup(kind="prosody", domain="pytel.test", directory=tmp_path))
    with pytest.raises(ConfigError, match="8 to 256 printable"):
        server.set_password("camera", password)
