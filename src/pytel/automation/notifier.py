"""Notices to people: a file, the log, and a command of the site's own."""

from __future__ import annotations

import asyncio
import logging
import os
from datetime import datetime
from pathlib import Path

import msgspec

from pytel.base import clock
from pytel.base.errors import DeviceError, DeviceTimeout
from pytel.base.files import storage_full_named
from pytel.base.threads import in_thread
from pytel.base.units import Duration
from pytel.interfaces.notifier import Notified, Notifier, Urgency
from pytel.module import Struct
from pytel.module.config import ModuleConfig
from pytel.services import Module

_LEVELS = {Urgency.INFO: logging.INFO, Urgency.WARNING: logging.WARNING, Urgency.CALL: logging.CRITICAL}


class Notice(Struct, frozen=True, kw_only=True):
    """A line of the file of notices."""

    time: datetime
    urgency: Urgency
    subject: str
    message: str
    origin: str


class LogNotifier(Module, Notifier):
    """Writes notices to `notices.jsonl` and the log, and hands them to a command that reaches people."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """`command` is run with urgency and subject as arguments and the message on its input (never in a virtual
        night); it has `command_timeout` real seconds.
        """

        command: tuple[str, ...] = ()
        command_timeout: Duration = 30.0

    config: Config

    async def notify(self, urgency: Urgency, subject: str, message: str) -> None:
        """Write it down, then send it. Raises `DeviceError` when the command fails."""
        notice = Notice(time=clock.now(), urgency=urgency, subject=subject, message=message, origin=self.origin.name)
        self.log.log(_LEVELS[urgency], "%s: %s", subject, message)
        self.publish(Notified(urgency=urgency, subject=subject, message=message))
        await in_thread(_append, self.directory / "notices.jsonl", msgspec.json.encode(notice) + b"\n")
        if self.config.command and not isinstance(clock.current(), clock.VirtualClock):
            await self._run_command(notice)

    async def _run_command(self, notice: Notice) -> None:
        process = await asyncio.create_subprocess_exec(
            *self.config.command, notice.urgency.value, notice.subject, stdin=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(self.config.command_timeout):
                await process.communicate(notice.message.encode())
        except TimeoutError as error:
            raise DeviceTimeout(
                f"the command of {self.name} did not end in {self.config.command_timeout:g} s", device=self.name
            ) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise DeviceError(f"the command of {self.name} ended with status {process.returncode}", device=self.name)


def _append(path: Path, line: bytes) -> None:
    with storage_full_named(path), path.open("ab", buffering=0) as file:
        file.write(line)
        os.fsync(file.fileno())
