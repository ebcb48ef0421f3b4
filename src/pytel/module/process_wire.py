"""What a supervisor and a module process tell each other: a JSON object in each line, over a Unix socket.

The process listens, so that a supervisor that was started anew can take up what still runs.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from pytel.base.errors import WireError

SOCKET = "control.sock"
PIPE = "log"
PLAN = "plan.json"
BEAT = 1.0
"""Real seconds between two reports, which also tell that the event loop runs."""
LONGEST_LINE = 1 << 20

EXIT_CONFIG = 78
"""The configuration is wrong (EX_CONFIG of sysexits.h)."""
EXIT_CONFLICT = 79
"""Another copy of a module, or of the process, runs."""
FOR_A_PERSON = (EXIT_CONFIG, EXIT_CONFLICT)
"""What starting again cannot mend."""


def process_directory(state_dir: Path, name: str) -> Path:
    """Where a process keeps its lock and its socket."""
    return state_dir / "processes" / name


class Want(msgspec.Struct, frozen=True, kw_only=True):
    """The modules that should run from now on; `serial` grows, `pipe` is where the log goes."""

    serial: int
    modules: tuple[str, ...]
    pipe: str | None = None


class ModuleReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one module fares. `failure` is why its start failed; `final`: it is not tried again.

    `stop_deadline` is in seconds of site time.
    """

    status: str | None = None
    error: str | None = None
    started: bool = False
    failure: WireError | None = None
    final: bool = False
    stop_deadline: float = 30.0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How a process fares; `plan` tells from which plan it was started, `serial` the last `Want` it knows of."""

    pid: int
    plan: str
    serial: int
    modules: dict[str, ModuleReport]
