"""A server as a child process that ends with its parent."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

_MAX_LOG = 10 << 20
_spawner: queue.SimpleQueue[Callable[[], None]] | None = None
_spawner_lock = threading.Lock()


class Child:
    """A process with its log; `env` comes on top of a bare environment."""

    def __init__(self, argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> None:
        self.log = log
        if log.exists() and log.stat().st_size > _MAX_LOG:
            log.replace(log.with_name(f"{log.name}.1"))
        self._log_begin = log.stat().st_size if log.exists() else 0
        bare = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR")}

        def spawn() -> subprocess.Popen[bytes]:
            with log.open("ab") as output:
                return subprocess.Popen(  # noqa: S603 - our own words
                    ["setpriv", "--pdeathsig", "TERM", "--", *argv],  # noqa: S607
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                    env={**bare, **env},
                    start_new_session=True,  # Ctrl-C is for the site: the server goes last
                )

        self._process = _on_lasting_thread(spawn)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process.poll() is None

    def terminate(self, deadline: float) -> None:
        """Ask it to end, and kill it when `deadline` seconds have passed."""
        if self.running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.terminate()
                self._process.wait(deadline)
        self.kill()

    def kill(self) -> None:
        """SIGKILL, for its own children as well."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def last_words(self, lines: int = 15) -> str:
        """The end of what it wrote since it was started."""
        with self.log.open("rb") as file:
            file.seek(max(self._log_begin, self.log.stat().st_size - 20_000))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def _on_lasting_thread(spawn: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """Start a process from a thread that lives as long as we do: the kernel ends it with the *thread* it came from."""
    if threading.current_thread() is threading.main_thread():
        return spawn()
    global _spawner
    with _spawner_lock:
        if _spawner is None:
            _spawner = queue.SimpleQueue()
            threading.Thread(target=_spawn_forever, args=(_spawner,), name="pytel-children", daemon=True).start()
    result: Future[subprocess.Popen[bytes]] = Future()

    def job() -> None:
        try:
            result.set_result(spawn())
        except OSError as error:
            result.set_exception(error)

    _spawner.put(job)
    return result.result(timeout=30)


def _spawn_forever(jobs: queue.SimpleQueue[Callable[[], None]]) -> None:
    while True:
        jobs.get()()
