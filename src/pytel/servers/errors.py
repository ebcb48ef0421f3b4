"""What can go wrong with a server, each with what to do."""

from __future__ import annotations

from pytel.base.errors import ConfigError, Conflict, NotReady


class ServerMissing(ConfigError):
    """The server's program is not installed; the message has the line that installs it."""


class PortTaken(Conflict):
    """Another program listens where the server should."""


class ServerFailed(NotReady):
    """The server does not start or refuses an order; the message has the last lines of its log."""


class ServerNotRunning(NotReady):
    """Nobody answers at the server's door for administrators."""
