"""Processes that take orders, what memory they hold, and waiting until all is quiet."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent.parent
DEADLINE = 180.0


class ActorFailed(Exception):
    """A process ended or did not answer; with its last words."""


class ActorProcess:
    """A process of a contestant; `order` and `answer` are apart, so that several can work at the same time."""

    def __init__(self, command: list[str], plan: Mapping[str, Any]) -> None:
        self.role = str(plan["role"])
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [*command, json.dumps(plan)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def order(self, what: str, **more: Any) -> None:
        """Say what is to be done. Raises `ActorFailed`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": what, **more}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ActorFailed(f"{self.role} ended:\n{self._last_words()}") from None

    def answer(self) -> dict[str, Any]:
        """The next answer. Raises `ActorFailed`."""
        try:
            line = self._lines.get(timeout=DEADLINE)
        except queue.Empty:
            raise ActorFailed(f"{self.role} does not answer:\n{self._last_words()}") from None
        if not line:
            raise ActorFailed(f"{self.role} ended:\n{self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, what: str, **more: Any) -> dict[str, Any]:
        """Order and await the answer."""
        self.order(what, **more)
        return self.answer()

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[-3000:]

    def end(self) -> None:
        """End it; nobody needs its good-byes."""
        self._process.kill()
        self._process.wait()
        for file in (self._process.stdin, self._process.stdout, self._errors):
            if file is not None:
                file.close()


@contextlib.contextmanager
def actors() -> Iterator[list[ActorProcess]]:
    """A list of processes that are ended with the block."""
    begun: list[ActorProcess] = []
    try:
        yield begun
    finally:
        for process in begun:
            process.end()


def until_quiet(pids: Iterable[int], *, share: float = 0.04, longest: float = 45.0) -> bool:
    """Wait until processes use little of one processor for two seconds; tells whether they do."""
    processes = [psutil.Process(pid) for pid in pids]
    ends, quiet = time.monotonic() + longest, 0
    before = _spent(processes)
    while time.monotonic() < ends and quiet < 2:
        time.sleep(1.0)
        after = _spent(processes)
        quiet = quiet + 1 if after - before < share else 0
        before = after
    return quiet >= 2


def _spent(processes: Iterable[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:4])
    return total


def memory(pid: int) -> tuple[float, float]:
    """Resident and proportional memory of a process in MiB."""
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, size = line.partition(":")
        sizes[name] = int(size.split()[0]) / 1024
    return sizes["Rss"], sizes["Pss"]


class Neighbourhood:
    """How much other programs use the processors meanwhile, which spoils what is measured."""

    def __init__(self) -> None:
        self._begun = self._sample()

    def share_of_others(self) -> float:
        """The share of all processors that went to others since the beginning."""
        all_time, busy, own = (now - then for now, then in zip(self._sample(), self._begun, strict=True))
        return max(0.0, busy - own) / max(all_time, 1e-9)

    @staticmethod
    def _sample() -> tuple[float, float, float]:
        times = psutil.cpu_times()
        # Idle time, and that of nobody; guests are counted in user time.
        idle = times.idle + getattr(times, "iowait", 0.0)
        every = sum(times[:8])
        living = _spent(psutil.Process().children(recursive=True))
        return every, every - idle, sum(os.times()[:4]) + living


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)
