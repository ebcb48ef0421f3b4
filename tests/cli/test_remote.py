"""The commands over XMPP, as a person's own account on a real server."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from bus.cast import EagerWorker, EchoModule
from bus.harness import until
from bus.xmpp_harness import XmppHarness
from pytel.base.errors import ConnectionLost
from pytel.base.threads import in_thread
from pytel.bus.contract import Role
from pytel.bus.xmpp.config import XmppConfig
from pytel.bus.xmpp.people import XmppPasswords
from pytel.servers.certificates import ensure_certificates

pytestmark = pytest.mark.slow
PASSWORD = "correct horse"
PYTEL = (sys.executable, "-c", "from pytel.cli import main; main()")


@pytest.fixture(params=["prosody", "ejabberd"])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[XmppHarness]:
    harness = XmppHarness(tmp_path, request.param, "json")
    server = await harness.server()
    await in_thread(server.set_password, "alice", PASSWORD)
    harness.access.allow(f"alice@{server.domain}", Role.OBSERVER, False)
    yield harness
    await harness.close()
    await in_thread(server.remove_account, "alice")


async def pytel(site: XmppHarness, *words: str, password: str = PASSWORD) -> tuple[int, str, str]:
    server = await site.server()
    command = [*PYTEL, "--as", f"alice@{server.domain}"]
    command += ["--server", f"{server.host}:{server.port}", "--ca", str(server.ca_file), *words]
    environment = {"PYTEL_PASSWORD": password, "PATH": "/usr/bin:/bin"}
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=60, env=environment, check=False
    )
    return done.returncode, done.stdout, done.stderr


async def test_a_person_sees_and_calls_what_the_role_allows(site: XmppHarness) -> None:
    await site.start(EchoModule, "echo")
    await site.start(EagerWorker, "worker")
    status, out, err = await pytel(site, "call", "echo.whoami")
    assert (status, out.strip(), err) == (0, "alice as observer", "")
    status, out, _ = await pytel(site, "modules", "--json")
    assert {"echo", "worker"} <= {row["address"] for row in json.loads(out)}
    status, out, _ = await pytel(site, "state", "worker", "--json")
    assert status == 0
    assert "-1" in out
    status, _, err = await pytel(site, "call", "echo.operate")
    assert status == 1
    assert "operator" in err
    status, out, err = await pytel(site, "call", "worker.work", "seconds=0.2")
    assert (status, "worked for alice" in out) == (0, True)


async def test_a_wrong_password_and_a_wrong_name_are_sentences(site: XmppHarness) -> None:
    status, _, err = await pytel(site, "modules", password="guessed")
    assert status == 1
    assert "wrong password" in err
    status, _, err = await pytel(site, "--as", "nonsense", "modules")
    assert status == 1
    assert "alice@monet.example" in err


async def test_the_server_checks_the_passwords_of_people(site: XmppHarness, tmp_path: Path) -> None:
    server = await site.server()
    config = XmppConfig(
        domain=server.domain,
        host=server.host,
        port=server.port,
        server="external",
        ca=server.ca_file,
        accounts=tmp_path / "accounts.json",
        wire="json",
        people={"alice": Role.OBSERVER},
        trusted={},
        members=("echo",),
    )
    passwords = XmppPasswords(config)
    assert await passwords.check("alice", PASSWORD) is Role.OBSERVER
    assert await passwords.check("alice", "guessed") is None
    assert await passwords.check("nobody", PASSWORD) is None
    (tmp_path / "other").mkdir()
    ca = tmp_path / "other" / "ca.crt"
    await in_thread(ensure_certificates, tmp_path / "other", server.domain, ca)
    stranger = XmppPasswords(msgspec.structs.replace(config, ca=ca))
    with pytest.raises(ConnectionLost, match="certificate that is not trusted"):
        await stranger.check("alice", PASSWORD)  # not a wrong password: that would end her sessions


async def test_who_watches_is_told_of_events(site: XmppHarness) -> None:
    runtime = await site.start(EagerWorker, "worker")
    server = await site.server()
    command = [*PYTEL, "--as", f"alice@{server.domain}", "--ca", str(server.ca_file)]
    command += ["--server", f"{server.host}:{server.port}", "watch", "--json", "Worked"]
    watching = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=None, env={"PYTEL_PASSWORD": PASSWORD, "PATH": "/usr/bin:/bin"}
    )
    worker = runtime.module
    assert isinstance(worker, EagerWorker)
    assert watching.stdout is not None
    try:
        heard = asyncio.create_task(watching.stdout.readline())
        numbers = iter(range(1000))

        async def tell_until_heard() -> None:
            while not heard.done():
                await worker.tell(next(numbers))
                await asyncio.sleep(0.2)

        async with asyncio.timeout(30):
            await tell_until_heard()
        assert json.loads(heard.result())["publisher"] == "worker"
    finally:
        watching.terminate()
        await watching.wait()
    await until(lambda: not any(str(peer.address) == "alice" for peer in site.opened[0].peers()))
