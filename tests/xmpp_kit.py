"""Running XMPP servers of both kinds for tests: one of each per worker process, stopped when it ends.

server = xmpp_server("prosody")        # or "ejabberd"; started on a free port of the loopback
password = server_account(server, "camera")
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import secrets
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

from pytel.base.threads import in_thread
from pytel.servers import PortTaken, ServerSetup, XmppServer, server_for

Kind = Literal["prosody", "ejabberd"]
KINDS: tuple[Kind, ...] = ("prosody", "ejabberd")
DOMAIN = "pytel.test"
PEOPLE = ("alice", "bob", "guest")
"""Accounts under the shaper of people; all other names are modules."""
_numbers = itertools.count()


@functools.cache
def xmpp_server(kind: Kind) -> XmppServer:
    """The running server of this process (call it outside an event loop, or in a thread)."""
    directory = Path(tempfile.mkdtemp(prefix=f"pytel-{kind}-"))
    server = started_server(kind, directory)
    atexit.register(_clean_up, server, directory)
    return server


def started_server(kind: Kind, directory: Path, *, host: str = "127.0.0.1") -> XmppServer:
    """A server of one's own below `directory`; whoever asks stops it."""
    for attempt in range(10):
        setup = ServerSetup(
            kind=kind, domain=DOMAIN, directory=directory, host=host, port=free_port(host), people=PEOPLE
        )
        server = server_for(setup)
        server.write()
        try:
            server.start()
        except PortTaken:  # another process took the port that was free a moment ago
            if attempt == 9:
                raise
            continue
        return server
    raise AssertionError("unreachable")


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def server_account(server: XmppServer, name: str) -> str:
    """Make an account, or give it a fresh password; returns the password."""
    password = secrets.token_urlsafe(16)
    server.set_password(name, password)
    return password


@contextlib.asynccontextmanager
async def accounts(server: XmppServer, *names: str) -> AsyncIterator[dict[str, str]]:
    """Accounts that are there for the length of a block: their passwords by name."""
    passwords = {name: await in_thread(server_account, server, name) for name in names}
    try:
        yield passwords
    finally:
        for name in names:
            await in_thread(server.remove_account, name)


def fresh_name(stem: str = "module") -> str:
    """A name that no other test uses."""
    return f"{stem}-{next(_numbers)}-{secrets.token_hex(3)}"


def _clean_up(server: XmppServer, directory: Path) -> None:
    server.stop()
    shutil.rmtree(directory, ignore_errors=True)
