"""One life of a process: begun by us or found running, ended by itself or by a signal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytel.base.lock import AlreadyRunning, directory_lock
from pytel.base.threads import in_thread

_LOOKS = 50


class Life:
    """A process that runs, held by a descriptor: its number cannot come to mean another one.

    `code` is its exit status once it has ended (negative: the signal), None for one that another process began.
    """

    def __init__(self, pid: int, descriptor: int, begun: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self.code: int | None = None
        self.ended = asyncio.Event()
        self.is_own = begun is not None
        self._begun = begun
        self._descriptor = descriptor
        asyncio.get_running_loop().add_reader(descriptor, self._end)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        if self._begun is not None:
            self.code = self._begun.poll()
        os.close(self._descriptor)
        self.ended.set()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; harmless when it has ended."""
        if not self.ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    async def ends_within(self, seconds: float) -> bool:
        """Wait for its end for some real seconds; tells whether it came."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        return self.ended.is_set()

    async def end(self, within: float) -> bool:
        """Ask it to end, and kill it when it has not within some real seconds; tells whether it ended when asked."""
        self.signal(signal.SIGTERM)
        if await self.ends_within(within):
            return True
        self.signal(signal.SIGKILL)
        await self.ended.wait()
        return False

    @property
    def how(self) -> str:
        """How it ended, in words."""
        if self.code is None:
            return "it ended"
        if self.code < 0:
            return f"it was killed by {signal.Signals(-self.code).name}"
        return f"it ended with status {self.code}"


async def begin(command: Sequence[str], output: Path, environment: Mapping[str, str]) -> Life:
    """Start a process whose output goes to a pipe that somebody reads. Raises `OSError`."""

    def start() -> subprocess.Popen[bytes]:
        pipe = os.open(output, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            # A session of its own: Ctrl-C and a closed terminal are for the supervisor, which ends things in order.
            return subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=pipe,
                stderr=pipe,
                env={**os.environ, **environment},
                start_new_session=True,
            )
        finally:
            os.close(pipe)

    begun = await in_thread(start)
    return Life(begun.pid, os.pidfd_open(begun.pid), begun)


async def found(directory: Path) -> Life | None:
    """The process that holds a directory, None when none does."""
    pid = await in_thread(_holder, directory)
    if pid is None:
        return None
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    if await in_thread(_holder, directory) != pid:  # it ended meanwhile, and the number may be another one's
        os.close(descriptor)
        return None
    return Life(pid, descriptor)


def _holder(directory: Path) -> int | None:
    for _ in range(_LOOKS):
        try:
            with directory_lock(directory):
                return None
        except AlreadyRunning as error:
            if (pid := error.data["process"]) is not None:
                return int(pid)
        time.sleep(0.02)  # it has the lock and is about to write its number
    return None
