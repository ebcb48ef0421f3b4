"""BLOBs of a device as they arrive: bounded in number and size."""

from __future__ import annotations

import msgspec

from pytel.base.units import Seconds

KEPT = 4
"""Frames in memory at a time, the one under way included; beyond that the server is not listened to."""


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """One BLOB; `close` it when its bytes are no longer needed (the next ones then have room)."""

    device: str
    name: str
    member: str
    format: str
    """Such as ".fits"; the ".z" of compressed ones is gone, as they are unpacked."""
    data: memoryview
    """The bytes, read-only; shared memory of the server's where it came through its Unix socket."""
    timestamp: str = ""
    """When the server says it was made, as it says it."""
    received: float = 0.0
    """Site time (Unix seconds) when its last byte came."""

    def close(self) -> None:
        """Let go of the bytes; harmless when that is done."""
        raise NotImplementedError


class BlobStream:
    """The BLOBs of one property, from a connection of their own: `async with client.blobs(device, name) as frames`."""

    async def __aenter__(self) -> BlobStream:
        """Connect and enable BLOBs. Raises `ConnectionLost`."""
        raise NotImplementedError

    async def __aexit__(self, *exception: object) -> None:
        """Disconnect; what was not fetched is thrown away."""
        raise NotImplementedError

    async def get(self, patience: Seconds) -> Blob:
        """The next one, in order.

        Raises `DeviceTimeout` after `patience` (site time) without one, `ConnectionLost` when the link broke (once;
        then it waits for the link to come back), `DeviceError` for one that is cut, too large or not what it says.
        """
        raise NotImplementedError

    def clear(self) -> None:
        """Throw away what has come so far."""
        raise NotImplementedError
