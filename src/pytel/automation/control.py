"""The control lease: one origin at a time moves things."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from pytel.base import clock
from pytel.base.errors import ControlHeld, StorageFull
from pytel.base.files import storage_full_named
from pytel.base.threads import in_thread
from pytel.base.units import Duration
from pytel.interfaces.control import Control, ControlState, Lease
from pytel.module.config import ModuleConfig
from pytel.module.handlers import background
from pytel.services import Module


class LeaseControl(Module, Control):
    """Lends control to one origin at a time. The lease lasts in real time and is on disk, so it survives a restart."""

    class Config(ModuleConfig, frozen=True, kw_only=True):
        """How long a lease lasts, in real seconds."""

        duration: Duration = 60.0

    config: Config

    async def on_start(self) -> None:
        """Take up the lease that was running."""
        self._changed = asyncio.Event()
        self._disk = asyncio.Lock()
        self._lease = await in_thread(_read_lease, self._file)
        self._publish()

    async def take(self) -> Lease:
        """Take or renew the lease of the caller's origin."""
        if (held := self._holding()) is not None and held.holder != self._caller():
            raise _held(held)
        return await self._grant()

    async def renew(self) -> Lease:
        """Renew the lease of the caller's origin."""
        held = self._holding()
        if held is None:
            raise ControlHeld("your lease has expired: take control again", holder=None, until=None)
        if held.holder != self._caller():
            raise _held(held)
        return await self._grant()

    async def release(self) -> None:
        """Give the lease back."""
        if (held := self._holding()) is not None and held.holder == self._caller():
            await self._keep(None)

    async def take_over(self) -> Lease:
        """Take the lease from whoever has it."""
        if (held := self._holding()) is not None:
            self.log.warning("%s takes control from %s", self._caller(), held.holder)
        return await self._grant()

    @background
    async def expire(self) -> None:
        """Show the end of a lease when it comes."""
        while True:
            self._changed.clear()
            held = self._holding()
            if held is None and self._lease is not None:
                await self._keep(None)
                continue
            await _wait_real(self._changed, None if held is None else held.until.timestamp() - clock.real_time())

    @property
    def _file(self) -> Path:
        return self.directory / "lease.json"

    def _caller(self) -> str:
        return self.origin.name

    def _holding(self) -> Lease | None:
        lease = self._lease
        return lease if lease is not None and lease.until.timestamp() > clock.real_time() else None

    async def _grant(self) -> Lease:
        until = datetime.fromtimestamp(clock.real_time() + self.config.duration, UTC)
        lease = Lease(holder=self._caller(), until=until)
        await self._keep(lease)
        return lease

    async def _keep(self, lease: Lease | None) -> None:
        # Memory first: two callers in one turn must not both find it free.
        self._lease = lease
        self._publish()
        self._changed.set()
        async with self._disk:
            try:
                await in_thread(_write_lease, self._file, self._lease)
            except StorageFull as error:
                # The lease holds all the same; only a restart would not know of it.
                self.raise_alarm("lease", error)
            else:
                self.clear_alarm("lease")

    def _publish(self) -> None:
        held = self._holding()
        self.publish(ControlState() if held is None else ControlState(holder=held.holder, until=held.until))


async def _wait_real(event: asyncio.Event, seconds: float | None) -> None:
    """Wait in real time, which leases live in."""
    try:
        async with asyncio.timeout(None if seconds is None else max(0.0, seconds)):
            await event.wait()
    except TimeoutError:
        return


def _held(lease: Lease) -> ControlHeld:
    return ControlHeld(
        f"{lease.holder} has control until {lease.until:%H:%M:%S} UTC",
        holder=lease.holder,
        until=lease.until.isoformat(),
    )


def _write_lease(path: Path, lease: Lease | None) -> None:
    """Replace the file as a whole. It is not synced: a lease has ended before the power is back."""
    temporary = path.with_suffix(".part")
    with storage_full_named(path):
        temporary.write_bytes(msgspec.json.encode(lease))
        temporary.replace(path)


def _read_lease(path: Path) -> Lease | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Lease | None)
    except (FileNotFoundError, msgspec.MsgspecError):
        # What was half a lease is none: it would have ended within a minute.
        return None
