"""ejabberd 23.01 as a child process, without a node name (so without epmd); accounts go through its API on a socket."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

from pytel.base.files import write_atomically
from pytel.servers.certificates import write_private
from pytel.servers.ejabberd_config import ejabberd_config
from pytel.servers.errors import ServerFailed, ServerMissing, ServerNotRunning
from pytel.servers.server import XmppServer

MODULES = Path(__file__).parent / "ejabberd_modules"
_PATIENCE = 10.0
_GROUP = "site"
_MISSING = "ejabberd is not installed: run 'apt-get install ejabberd' as root"
_QUIET_SCHEDULERS = ("+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none")
"""Erlang's schedulers otherwise burn processor time while they wait."""


class Ejabberd(XmppServer):
    """A server for busy sites: half the processor time for each event, in 70 MiB."""

    @property
    def _config(self) -> Path:
        return self.home / "ejabberd.yml"

    def _write(self, certificate: Path, key: Path) -> None:
        (self.home / "db").mkdir(exist_ok=True, mode=0o700)
        bundle = self.home / "server.pem"
        write_private(bundle, key.read_bytes().rstrip() + b"\n" + certificate.read_bytes())
        text = ejabberd_config(
            self.setup,
            home=self.home,
            admin_socket=self._socket(make=True),
            certificate=bundle,
            ca_file=self._trusted(),
        )
        write_atomically(self._config, [text.encode()])
        self._compile()

    def _compile(self) -> None:
        """Make our module for the server's Erlang, unless it is there."""
        source, made = MODULES / "mod_pytel_people.erl", self.home / "ebin" / "mod_pytel_people.beam"
        if made.exists() and made.stat().st_mtime > source.stat().st_mtime:
            return
        made.parent.mkdir(exist_ok=True, mode=0o700)
        done = subprocess.run(  # noqa: S603 - our own words
            [_program("erlc"), "-o", str(made.parent), str(source)], capture_output=True, timeout=60, check=False
        )
        if done.returncode != 0:
            raise ServerFailed(f"erlc does not compile {source}: {done.stdout.decode(errors='replace')[:500]}")

    def _command(self) -> tuple[list[str], dict[str, str]]:
        erl = _program("erl")
        library = next(Path("/usr/lib").glob("*/ejabberd-*/ebin"), None)
        if not library:
            raise ServerMissing(_MISSING)
        database = str(self.home / "db").replace("\\", "\\\\").replace('"', '\\"')
        argv = [
            erl,
            "-noinput",
            *_QUIET_SCHEDULERS,
            "-pa",
            str(self.home / "ebin"),
            "-mnesia",
            "dir",
            f'"{database}"',
            "-s",
            "ejabberd",
        ]
        env = {
            "ERL_LIBS": str(library.parent.parent),
            "HOME": str(self.home),
            "EJABBERD_CONFIG_PATH": str(self._config),
            "EJABBERD_LOG_PATH": str(self.home / "ejabberd.log"),
            "ERL_CRASH_DUMP": str(self.home / "crash.dump"),
            "ERL_CRASH_DUMP_SECONDS": "0",
        }
        return argv, {**env, **self._private_hosts()}

    def _private_hosts(self) -> dict[str, str]:
        """Addresses of peers that DNS does not know: the C library reads our table, Erlang's resolver nothing."""
        federation = self.setup.federation
        if not federation or not federation.hosts:
            return {}
        table, resolver = self.home / "hosts", self.home / "inetrc"
        lines = ["127.0.0.1 localhost", *(f"{address} {domain}" for domain, address in federation.hosts.items())]
        table.write_text("\n".join(lines) + "\n")
        resolver.write_text(
            '{lookup,[file]}.\n{file,hosts,"/dev/null"}.\n{file,resolv,"/dev/null"}.\n'
            "{clear_ns}.\n{nameserver,{127,0,0,1},1}.\n"
        )
        return {
            "ERL_INETRC": str(resolver),
            "LD_PRELOAD": "libnss_wrapper.so",
            "NSS_WRAPPER_HOSTS": str(table),
        }

    def _answers(self) -> bool:
        try:
            self._api("status")
        except (ServerNotRunning, ServerFailed):  # its modules start one after the other
            return False
        return True

    def _settle(self) -> None:
        if _GROUP not in self._api("srg_list", host=self.domain):
            self._api(
                "srg_create",
                group=_GROUP,
                host=self.domain,
                label=self.domain,
                description="all accounts see each other",
                display=_GROUP,
            )
            self._api("srg_user_add", user="@all@", host=self.domain, group=_GROUP, grouphost=self.domain)

    def _set_password(self, name: str, password: str) -> None:
        who = {"user": name, "host": self.domain}
        if name not in self.accounts():
            self._api("register", password=password, **who)
        elif self._api("check_password", password=password, **who) != 0:
            self._api("change_password", newpass=password, **who)
            self._api("kick_user", **who)

    def _remove_account(self, name: str) -> None:
        self._api("unregister", user=name, host=self.domain)

    def accounts(self) -> list[str]:
        """Names of all accounts, sorted. Raises `ServerNotRunning`."""
        return sorted(self._api("registered_users", host=self.domain))

    def _api(self, command: str, **arguments: str) -> Any:
        connection = _Connection(self._socket())
        try:
            connection.request("POST", f"/api/{command}", json.dumps(arguments), {"Content-Type": "application/json"})
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ServerNotRunning(f"ejabberd of {self.domain} does not answer ({error}): start it first") from error
        finally:
            connection.close()
        if response.status != 200:
            raise ServerFailed(f"ejabberd refuses {command}: {body.decode(errors='replace')[:300]}")
        return json.loads(body)

    def _last_words(self) -> str:
        log = self.home / "ejabberd.log"
        return super()._last_words() or (log.read_text(errors="replace")[-3000:] if log.exists() else "")


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/bin:/usr/local/bin")
    if not found:
        raise ServerMissing(_MISSING)
    return found


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_PATIENCE)
        self.sock.connect(str(self._path))
