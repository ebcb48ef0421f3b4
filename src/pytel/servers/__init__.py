"""The site's own XMPP server, Prosody or ejabberd, as an ordinary child process.

server = server_for(ServerSetup(kind="prosody", domain="monet.example", directory=Path("state/xmpp")))
server.write()
server.start()
server.set_password("camera", password)
…
server.stop()
"""

from __future__ import annotations

from pytel.servers.ejabberd import Ejabberd
from pytel.servers.errors import PortTaken, ServerFailed, ServerMissing, ServerNotRunning
from pytel.servers.prosody import Prosody
from pytel.servers.server import XmppServer
from pytel.servers.setup import Federation, ServerSetup

__all__ = [
    "Ejabberd",
    "Federation",
    "PortTaken",
    "Prosody",
    "ServerFailed",
    "ServerMissing",
    "ServerNotRunning",
    "ServerSetup",
    "XmppServer",
    "server_for",
]


def server_for(setup: ServerSetup) -> XmppServer:
    """Make the server that a set-up asks for; nothing is written or started yet."""
    return Prosody(setup) if setup.kind == "prosody" else Ejabberd(setup)
