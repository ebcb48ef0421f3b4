"""The servers: pytel's own ejabberd and Prosody, and an ejabberd with the settings that the peer asks for.

Ours are as `pytel xmpp up` runs them: TLS, SCRAM-SHA-256, no limits for modules. The peer's has what its documentation
asks for (a pubsub service with flat nodes, the shared roster, no shaper) and asks for no TLS, which favours the peer;
it offers TLS, so that the peer can be measured with it, too.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pytel.base.files import write_atomically
from pytel.servers import ServerSetup, XmppServer, server_for
from pytel.servers.ejabberd import Ejabberd

LISTENERS = tuple(f"m{number:02d}" for number in range(50))
MODULES = ("callee", "caller", "caller2", "publisher", *LISTENERS)
FLOORS = ("pinger", "answerer", "asker", *(f"f{name}" for name in LISTENERS))


class Running:
    """A server that runs, with accounts and their passwords."""

    def __init__(self, kind: str, server: XmppServer, names: tuple[str, ...], *, tls: bool) -> None:
        self.kind, self.server, self.tls = kind, server, tls
        self.domain, self.port, self.ca_file = server.domain, server.port, server.ca_file
        self.passwords = {name: secrets.token_urlsafe(12) for name in names}
        self.accounts_file = server.directory / "accounts.json"
        self.accounts_file.write_text(json.dumps(self.passwords))
        self.accounts_file.chmod(0o600)
        for name, password in self.passwords.items():
            server.set_password(name, password)


class PeersEjabberd(Ejabberd):
    """ejabberd as the peer's own documentation and tests set it up."""

    def _write(self, certificate: Path, key: Path) -> None:
        super()._write(certificate, key)
        text = StringIO()
        YAML().dump(_peers_settings(self), text)
        write_atomically(self._config, [text.getvalue().encode()])

    def _serves(self) -> bool:
        return self._answers() and _is_open(self.port)


def _peers_settings(server: PeersEjabberd) -> dict[str, Any]:
    nodes = {
        "max_items": 1,
        "persist_items": True,
        "deliver_payloads": True,
        "deliver_notifications": True,
        "send_last_published_item": "on_sub_and_presence",
        "notify_retract": False,
    }
    return {
        "hosts": [server.domain],
        "loglevel": "warning",
        "certfiles": [str(server.home / "server.pem")],
        "auth_method": ["internal"],
        "listen": [
            {
                "port": server.port,
                "ip": server.host,
                "module": "ejabberd_c2s",
                "starttls": True,
                "max_stanza_size": 1 << 20,
                "shaper": "none",
                "access": "all",
            },
            {
                "port": f"unix:{server._socket()}",  # noqa: SLF001 - a server of pytel with other settings
                "module": "ejabberd_http",
                "request_handlers": {"/api": "mod_http_api"},
            },
        ],
        "acl": {"local": {"user_regexp": ""}},
        "access_rules": {"local": {"allow": "local"}, "pubsub_createnode": {"allow": "local"}},
        "api_permissions": {"socket": {"from": ["mod_http_api"], "who": "all", "what": "*"}},
        "registration_timeout": "infinity",
        "modules": {
            "mod_admin_extra": {},
            "mod_caps": {},
            "mod_disco": {},
            "mod_http_api": {},
            "mod_ping": {},
            "mod_pubsub": {"access_createnode": "pubsub_createnode", "plugins": ["flat"], "default_node_config": nodes},
            "mod_roster": {},
            "mod_shared_roster": {},
            "mod_vcard": {},
        },
    }


@contextlib.contextmanager
def running_servers(*extra: str) -> Iterator[dict[str, Running]]:
    """All three for the length of a block, by name; the peer's has `extra` accounts."""
    directory = Path(tempfile.mkdtemp(prefix="pytel-bench-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        servers = {}
        for name in ("ejabberd", "prosody", "peer"):
            server = _started(name, directory / name)
            stack.callback(server.stop)
            accounts = (*MODULES, *extra) if name == "peer" else (*MODULES, *FLOORS)
            servers[name] = Running(name, server, accounts, tls=name != "peer")
        yield servers


def _started(name: str, directory: Path) -> XmppServer:
    setup = ServerSetup(
        kind="prosody" if name == "prosody" else "ejabberd",
        domain="peer.localhost" if name == "peer" else f"{name}.localhost",
        directory=directory,
        port=free_port(),
    )
    server = PeersEjabberd(setup) if name == "peer" else server_for(setup)
    server.write()
    server.start(60.0)
    return server


def versions_of_servers() -> str:
    """The versions of both programs, as Debian has them."""
    told = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Version}, ", "ejabberd", "prosody"],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    return told.stdout.strip(", ")


def free_port() -> int:
    """A port of the loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
