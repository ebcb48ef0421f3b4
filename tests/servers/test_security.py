"""Who is let in, and how."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from slixmpp import JID

from pytel.base.threads import in_thread
from pytel.servers import XmppServer
from pytel.servers.certificates import ensure_certificates
from xmpp_client import Client, Refused, client
from xmpp_kit import accounts, fresh_name

_SASL = "urn:ietf:params:xml:ns:xmpp-sasl"


async def _refusal(one: Client) -> str:
    with pytest.raises(Refused) as refused:
        await one.log_in()
    await one.leave()
    return str(refused.value)


async def test_a_wrong_password_is_refused(server: XmppServer) -> None:
    name = fresh_name()
    async with accounts(server, name):
        assert "authentication" in await _refusal(Client(server, name, "wrong password"))
    assert "authentication" in await _refusal(Client(server, "nobody", "wrong password"))


async def test_log_in_is_by_scram_sha_256_alone(server: XmppServer) -> None:
    name = fresh_name()
    async with accounts(server, name) as passwords, client(server, name, passwords[name]) as one:
        assert str(getattr(one.plugin["feature_mechanisms"].mech, "name", "")).startswith("SCRAM-SHA-256")


@pytest.mark.parametrize("mechanism", ["PLAIN", "ANONYMOUS", "SCRAM-SHA-1"])
def test_other_ways_to_log_in_are_refused(server: XmppServer, mechanism: str) -> None:
    with _stream(server) as stream:
        assert set(stream.mechanisms()) <= {"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}
        assert "<failure" in stream.ask(f"<auth xmlns='{_SASL}' mechanism='{mechanism}'>AGEAYg==</auth>")


def test_without_tls_nothing_is_served(server: XmppServer) -> None:
    with _stream(server, encrypted=False) as stream:
        assert "<required/>" in stream.features
        assert stream.mechanisms() == []
        answer = stream.ask(f"<auth xmlns='{_SASL}' mechanism='SCRAM-SHA-256'>biwsbj1hLHI9Yg==</auth>")
        assert "<success" not in answer
        assert "<challenge" not in answer


@pytest.mark.parametrize(("version", "works"), [("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)])
def test_old_tls_is_refused(server: XmppServer, version: str, works: bool) -> None:
    where = f"{server.host}:{server.port}"
    ask = ["openssl", "s_client", "-connect", where, "-starttls", "xmpp", "-xmpphost", server.domain]
    ask += [version, "-cipher", "ALL:@SECLEVEL=0", "-CAfile", str(server.ca_file), "-verify_return_error"]
    done = subprocess.run(ask, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    assert (done.returncode == 0) is works


def test_nobody_registers_in_band(server: XmppServer) -> None:
    with _stream(server) as stream:
        assert "register" not in stream.features
        answer = stream.ask(
            f"<iq type='set' id='r' to='{server.domain}'><query xmlns='jabber:iq:register'>"
            "<username>intruder</username><password>intruder-intruder</password></query></iq>",
        )
        assert "result" not in answer
    assert "intruder" not in server.accounts()


async def test_a_client_that_trusts_another_ca_does_not_come(server: XmppServer, tmp_path: Path) -> None:
    await in_thread(ensure_certificates, tmp_path, server.domain, tmp_path / "ca.crt")
    name = fresh_name()
    async with accounts(server, name) as passwords:
        one = Client(server, name, passwords[name])
        one.ca_certs = tmp_path / "ca.crt"
        assert "certificate" in await _refusal(one)


async def test_passwords_are_stored_as_hashes_and_never_logged(server: XmppServer) -> None:
    name = fresh_name()
    async with accounts(server, name) as passwords, client(server, name, passwords[name]):
        for path in server.home.rglob("*"):
            if path.is_file() and passwords[name].encode() in await in_thread(path.read_bytes):
                raise AssertionError(f"{path} holds the password")


async def test_a_new_password_ends_the_sessions_of_the_old_one_and_the_same_one_does_not(server: XmppServer) -> None:
    name = fresh_name()
    async with accounts(server, name) as passwords, client(server, name, passwords[name]) as one:
        await in_thread(server.set_password, name, passwords[name])
        await one.plugin["xep_0199"].send_ping(JID(server.domain), timeout=30)
        await in_thread(server.set_password, name, "another password")
        await asyncio.wait_for(one.closed.wait(), 10)
        assert "authentication" in await _refusal(Client(server, name, passwords[name]))
        async with client(server, name, "another password"):
            pass


async def test_a_removed_account_is_out_at_once(server: XmppServer) -> None:
    name = fresh_name()
    async with accounts(server, name) as passwords, client(server, name, passwords[name]) as one:
        await in_thread(server.remove_account, name)
        await asyncio.wait_for(one.closed.wait(), 10)
        assert name not in await in_thread(server.accounts)
        assert "authentication" in await _refusal(Client(server, name, passwords[name]))


def test_it_listens_at_its_own_address_only(server: XmppServer) -> None:
    listening = subprocess.run(["ss", "-H", "-tulnp"], capture_output=True, text=True, check=True).stdout
    mine = [line.split()[4] for line in listening.splitlines() if f"pid={server.pid}," in line]
    assert mine == [f"{server.host}:{server.port}"]


def test_others_cannot_read_its_files(server: XmppServer) -> None:
    assert server.home.stat().st_mode & 0o077 == 0
    assert (server.directory / "server.key").stat().st_mode & 0o077 == 0
    assert (server.directory / "ca.key").stat().st_mode & 0o077 == 0


@contextlib.contextmanager
def _stream(server: XmppServer, *, encrypted: bool = True) -> Iterator[_Stream]:
    """A stream by hand (RFC 6120), up to its features."""
    with socket.create_connection((server.host, server.port), 10) as plain:
        stream = _Stream(plain, server.domain)
        if not encrypted:
            yield stream
            return
        assert "<proceed" in stream.ask("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        context = ssl.create_default_context(cafile=str(server.ca_file))
        with context.wrap_socket(plain, server_hostname=server.domain) as secret:
            yield _Stream(secret, server.domain)


class _Stream:
    def __init__(self, connection: socket.socket, domain: str) -> None:
        self._socket = connection
        self._socket.sendall(
            b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
            b"to='%s' version='1.0'>" % domain.encode()
        )
        self.features = self._read("</stream:features>")

    def mechanisms(self) -> list[str]:
        return [part.partition("<")[0] for part in self.features.split("<mechanism>")[1:]]

    def ask(self, text: str) -> str:
        """What comes back: a whole element, the end of the stream, or nothing more."""
        self._socket.sendall(text.encode())
        return self._read(">")

    def _read(self, end: str) -> str:
        text = ""
        while not text.rstrip().endswith(end):
            data = self._socket.recv(4096)
            if not data:
                break
            text += data.decode()
        return text
