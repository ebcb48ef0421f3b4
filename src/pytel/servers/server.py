"""What both servers have in common: files, certificates, life as a child process."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path

from pytel.base.errors import ConfigError
from pytel.base.files import write_atomically
from pytel.base.lock import directory_lock
from pytel.servers.certificates import ensure_certificates
from pytel.servers.child import Child
from pytel.servers.errors import PortTaken, ServerFailed
from pytel.servers.setup import ServerSetup, check_account

_MAX_SOCKET_PATH = 107
_PORT_GRACE = 2.0
"""Seconds that a predecessor, whose parent was just killed, has to leave the port."""


class XmppServer(ABC):
    """An XMPP server of one domain.

    The methods block; a caller in an event loop uses `in_thread`. Accounts can be changed from any process of the same
    user while the server runs.
    """

    def __init__(self, setup: ServerSetup) -> None:
        self.setup = setup
        self.domain, self.host, self.port = setup.domain, setup.host, setup.port
        self.directory = setup.directory.absolute()
        self.home = self.directory / setup.kind
        self.ca_file = setup.ca.absolute() if setup.ca else self.directory / "ca.crt"
        self._child: Child | None = None
        self._lock = contextlib.ExitStack()

    def write(self) -> None:
        """Write the configuration, and the CA and the certificate where they are missing or about to run out.

        Raises `ConfigError` when the directory cannot be used or a certificate cannot be made.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.home.mkdir(exist_ok=True, mode=0o700)
            self.home.chmod(0o700)
        except OSError as error:
            raise ConfigError(f"the directory {self.directory} cannot be used: {error.strerror}") from error
        if self.setup.certificate and self.setup.key:
            certificate, key = self.setup.certificate.absolute(), self.setup.key.absolute()
        else:
            certificate, key = ensure_certificates(self.directory, self.domain, self.ca_file)
        self._write(certificate, key)

    def start(self, deadline: float = 30.0) -> None:
        """Start the server; return when it serves log-ins, at most `deadline` seconds later.

        Raises `ServerMissing`, `PortTaken`, `ServerFailed` and, when it runs already, `AlreadyRunning`.
        """
        until = time.monotonic() + deadline
        argv, env = self._command()
        self._lock.enter_context(directory_lock(self.home, self.setup.kind))
        try:
            for port in self._ports():
                self._wait_for_port(port)
            self._child = Child(argv, cwd=self.home, env=env, log=self.home / "console.log")
            while not self._serves():
                self._check_alive(until)
                time.sleep(0.02)
            self._settle()
        except BaseException:
            self.kill()
            raise

    def stop(self, deadline: float = 15.0) -> None:
        """Stop in order (SIGTERM); kill when `deadline` seconds have passed."""
        if self._child:
            self._child.terminate(deadline)
        self._forget()

    def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        if self._child:
            self._child.kill()
        self._forget()

    @property
    def running(self) -> bool:
        """Whether the server that this object started lives."""
        return self._child is not None and self._child.running

    @property
    def pid(self) -> int:
        """The server's process; 0 when it does not run."""
        return self._child.pid if self._child and self._child.running else 0

    def set_password(self, name: str, password: str) -> None:
        """Create an account or change its password, which ends its sessions.

        Raises `ServerNotRunning`, and `ConfigError` for what is no name of an account.
        """
        check_account(name)
        if not 8 <= len(password) <= 256 or not password.isascii() or not password.isprintable():
            raise ConfigError("a password has 8 to 256 printable ASCII characters")
        self._set_password(name, password)

    def remove_account(self, name: str) -> None:
        """Remove an account with its nodes and end its sessions; one that is not there is fine.

        Raises `ServerNotRunning`, and `ConfigError` for what is no name of an account.
        """
        check_account(name)
        self._remove_account(name)

    @abstractmethod
    def accounts(self) -> list[str]:
        """Names of all accounts, sorted. Raises `ServerNotRunning`."""

    @abstractmethod
    def _write(self, certificate: Path, key: Path) -> None: ...

    def _trusted(self) -> Path:
        """The CAs that may vouch for peers: the site's own and those of the federation."""
        federation = self.setup.federation
        if not federation or not federation.cas:
            return self.ca_file
        bundle = self.home / "trusted.crt"
        write_atomically(bundle, [path.read_bytes().rstrip() + b"\n" for path in (self.ca_file, *federation.cas)])
        return bundle

    @abstractmethod
    def _command(self) -> tuple[list[str], dict[str, str]]:
        """The program with its arguments, and its environment. Raises `ServerMissing`."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the door for administrators is open, and the server says that it listens."""

    def _settle(self) -> None:  # noqa: B027 - most servers need nothing
        """What remains to be done once the server answers."""

    @abstractmethod
    def _set_password(self, name: str, password: str) -> None: ...

    @abstractmethod
    def _remove_account(self, name: str) -> None: ...

    def _ports(self) -> list[int]:
        return [self.port, *([self.setup.federation.port] if self.setup.federation else [])]

    def _wait_for_port(self, port: int) -> None:
        until = time.monotonic() + _PORT_GRACE
        while not _free(self.host, port):
            if time.monotonic() > until:
                raise PortTaken(
                    f"port {port} of {self.host} is taken by another program: stop it, or choose another port"
                )
            time.sleep(0.05)

    def _serves(self) -> bool:
        return self._answers() and _offers_tls(self.host, self.port, self.domain)

    def _check_alive(self, until: float) -> None:
        child = self._child
        if child is None or not child.running:
            raise ServerFailed(f"{self.setup.kind} ended at once. Its last words:\n{self._last_words()}")
        if time.monotonic() > until:
            raise ServerFailed(f"{self.setup.kind} does not serve log-ins. Its last words:\n{self._last_words()}")

    def _last_words(self) -> str:
        return self._child.last_words() if self._child else ""

    def _forget(self) -> None:
        self._child = None
        self._lock.close()

    def _socket(self, *, make: bool = False) -> Path:
        """Where administrators knock: in the server's directory, or in a short one that a link there points to."""
        path = self.home / "admin.sock"
        if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
            return path
        link = self.home / "run"
        if make and not _ours(link):
            link.unlink(missing_ok=True)
            link.symlink_to(tempfile.mkdtemp(prefix="pytel-xmpp-"))
        return link.resolve() / path.name

    def remove_files(self) -> None:
        """Remove everything that the server wrote, accounts included (a demonstration cleans up)."""
        link = self.home / "run"
        if _ours(link):
            shutil.rmtree(link.resolve())
        shutil.rmtree(self.home)


def _ours(link: Path) -> bool:
    return link.is_symlink() and link.is_dir() and link.stat().st_uid == os.geteuid()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _free(host: str, port: int) -> bool:
    with socket.socket(_family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            raise ConfigError(f"port {port} needs root: choose one above 1023") from None
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise ConfigError(f"{host} is no address of this machine") from None
            return False
        return True


def _offers_tls(host: str, port: int, domain: str) -> bool:
    """Whether a stream to the domain begins with the offer to encrypt it (RFC 6120, section 5)."""
    reach = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what is bound everywhere is here too
    header = (
        f"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
        f"to='{domain}' version='1.0'>"
    )
    answer = b""
    try:
        with socket.create_connection((reach, port), 1.0) as connection:
            connection.sendall(header.encode())
            while b"</stream:features>" not in answer and len(answer) < 10_000:
                if not (data := connection.recv(4096)):
                    return False
                answer += data
            connection.sendall(b"</stream:stream>")
    except OSError:
        return False
    return b"urn:ietf:params:xml:ns:xmpp-tls" in answer
