"""The contestants and how their processes are started."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.messaging.processes import ROOT, ActorProcess
from benchmarks.messaging.servers import MODULES, Running

PEER_SCRIPT = ROOT / "benchmarks" / "peers" / "messaging_pyobs.py"

PING = "floor: slixmpp's own IQ ping, ejabberd"
BARE, BARE_PROSODY = "floor: bare IQ, ejabberd", "floor: bare IQ, Prosody"
PEER, PEER_TLS = "pyobs-core, its ejabberd, no TLS", "pyobs-core, its ejabberd, TLS"
OURS, OURS_PROSODY = "pytel, ejabberd", "pytel, Prosody"
PLAIN, PLAIN_PROSODY = "pytel, ejabberd, XEP-0009", "pytel, Prosody, XEP-0009"


class Stage(NamedTuple):
    """Where processes are started: the servers, the peer's python, and the list of what was started."""

    servers: dict[str, Running]
    peer: Path
    begun: list[ActorProcess]

    def ours(self, server: str, role: str, names: Sequence[str], *, wire: str = "json", **more: Any) -> ActorProcess:
        """A process of pytel."""
        command = [sys.executable, "-m", "benchmarks.messaging.ours"]
        return self._start(command, server, role, names, wire=wire, members=MODULES, **more)

    def floor(self, server: str, role: str, names: Sequence[str], **more: Any) -> ActorProcess:
        """A process of a floor."""
        return self._start([sys.executable, "-m", "benchmarks.messaging.floors"], server, role, names, **more)

    def theirs(self, role: str, names: Sequence[str], *, tls: bool = False, **more: Any) -> ActorProcess:
        """A process of the peer."""
        return self._start([str(self.peer), str(PEER_SCRIPT)], "peer", role, names, tls=tls, **more)

    def _start(self, command: list[str], server: str, role: str, names: Sequence[str], **more: Any) -> ActorProcess:
        process = ActorProcess(command, self._plan(self.servers[server], role, names) | more)
        self.begun.append(process)
        return process

    @staticmethod
    def _plan(server: Running, role: str, names: Sequence[str]) -> dict[str, Any]:
        return {
            "role": role,
            "names": list(names),
            "domain": server.domain,
            "port": server.port,
            "ca": str(server.ca_file),
            "accounts": str(server.accounts_file),
            "passwords": {name: server.passwords[name] for name in names},
        }

    def pids(self) -> list[int]:
        """All processes and the servers."""
        return [process.pid for process in self.begun] + [running.server.pid for running in self.servers.values()]


def ready(*processes: ActorProcess) -> None:
    """Wait until processes serve. Raises `ActorFailed`."""
    for process in processes:
        process.answer()
