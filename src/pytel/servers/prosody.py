"""Prosody 0.12 as a child process; accounts go through its admin socket, so that no password is on a command line."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement, XMLPullParser, tostring

from pytel.base.files import write_atomically
from pytel.servers.errors import ServerFailed, ServerMissing, ServerNotRunning
from pytel.servers.prosody_config import prosody_config
from pytel.servers.server import XmppServer

_ADMIN = "urn:pytel:admin"
_PATIENCE = 10.0


class Prosody(XmppServer):
    """A small server: up within a fraction of a second, in 10 MiB."""

    @property
    def _config(self) -> Path:
        return self.home / "prosody.cfg.lua"

    def _write(self, certificate: Path, key: Path) -> None:
        (self.home / "data").mkdir(exist_ok=True, mode=0o700)
        text = prosody_config(
            self.setup,
            home=self.home,
            admin_socket=self._socket(make=True),
            certificate=certificate,
            key=key,
            ca_file=self._trusted(),
        )
        write_atomically(self._config, [text.encode()])

    def _command(self) -> tuple[list[str], dict[str, str]]:
        program = shutil.which("prosody", path=f"{os.environ.get('PATH', '')}:/usr/bin:/usr/local/bin")
        if not program:
            raise ServerMissing("Prosody is not installed: run 'apt-get install prosody lua-unbound' as root")
        return [program, "--config", str(self._config), "-F"], {"HOME": str(self.home)}

    def _answers(self) -> bool:
        try:
            ports = self._order("status")
        except ServerNotRunning:
            return False
        wanted = {str(port) for port in self._ports()}
        if not wanted <= set(ports):
            raise ServerFailed(f"Prosody could not listen at {self.host}. Its last words:\n{self._last_words()}")
        return True

    def _set_password(self, name: str, password: str) -> None:
        self._order("set-password", name, password)

    def _remove_account(self, name: str) -> None:
        self._order("remove-account", name)

    def accounts(self) -> list[str]:
        """Names of all accounts, sorted. Raises `ServerNotRunning`."""
        return sorted(self._order("accounts"))

    def _order(self, action: str, name: str = "", text: str = "") -> list[str]:
        order = Element("order", {"xmlns": _ADMIN, "action": action, "host": self.domain, "name": name})
        order.text = text
        answer = self._ask(tostring(order))
        if answer.get("type") != "result":
            raise ServerFailed(f"Prosody refuses the order {action} {name}: {answer.text}")
        return [value.text or "" for value in answer]

    def _ask(self, order: bytes) -> Element:
        stream = Element("stream:stream", {"xmlns": "xmpp:prosody.im/admin"})
        stream.set("xmlns:stream", "http://etherx.jabber.org/streams")
        SubElement(stream, "x")
        opening = tostring(stream).partition(b"<x")[0]
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_PATIENCE)
                connection.connect(str(self._socket()))
                connection.sendall(opening + order)
                return _read_answer(connection)
        except (OSError, ParseError) as error:
            raise ServerNotRunning(f"Prosody of {self.domain} does not answer ({error}): start it first") from error


def _read_answer(connection: socket.socket) -> Element:
    parser: XMLPullParser[Any] = XMLPullParser(("end",))
    while data := connection.recv(65536):
        parser.feed(data)
        for event in parser.read_events():
            element: Any = event[-1]
            if isinstance(element, Element) and element.tag == f"{{{_ADMIN}}}answer":
                return element
    raise ConnectionError("the connection was closed")
