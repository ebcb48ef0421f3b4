"""The bytes of one BLOB, decoded as they arrive: base64 out of the XML, or shared memory of the server's."""

from __future__ import annotations

import binascii
import fcntl
import mmap
import os
import zlib
from collections.abc import Callable
from typing import Any

from pytel.base.errors import ConfigError, DeviceError
from pytel.devices.indi.protocol import Attributes

MAX_BLOB = 1 << 30
_WHITE = b" \t\r\n"
_COMPRESSED = ".z"
_last: list[bytearray] = []
"""The memory of the last BLOB of this process."""
_F_GET_SEALS, _F_SEAL_SHRINK = 1034, 2
"""Of Linux (fcntl.h)."""


class Unpacking:
    """A BLOB under way. What is wrong with it is told by `finish`, so that the stream goes on behind it."""

    def __init__(self, device: str, attributes: Attributes) -> None:
        self._device, self._wrong = device, ""
        given = attributes.get("size", "")
        size = int(given) if given.isascii() and given.isdecimal() and len(given) < 12 else -1
        if not 0 <= size <= MAX_BLOB:
            self._wrong, size = f"is said to have {given[:20]!r} bytes", 0
        form = attributes.get("format", "")
        self._inflate = zlib.decompressobj() if form.endswith(_COMPRESSED) else None
        self.format = form.removesuffix(_COMPRESSED)
        self._buffer = _room_for(size)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._carry = b""
        self._decode = decoder()

    def take(self, data: bytes, start: int, stop: int) -> None:
        """Decode a piece, cut anywhere."""
        if self._wrong:
            return
        length = len(self._carry) + stop - start - data.count(b"\n", start, stop)
        cut, left = stop, length % 4
        while left and cut > start:
            cut -= 1
            left -= data[cut] != 10
        piece: Any = memoryview(data)[start:cut]
        if self._carry:
            piece = b"".join((self._carry, piece))
        decoded = self._decoded(piece, length // 4 * 3 - bytes(piece[-6:]).count(b"="))
        if decoded is None:
            decoded = self._with_care(self._carry + data[start:stop])
        else:
            self._carry = data[cut:stop].translate(None, _WHITE)
        self._fill(decoded)

    def _decoded(self, piece: Any, size: int) -> bytes | None:
        """What is decoded fast; None unless that gives `size` bytes."""
        try:
            decoded = self._decode(piece)
        except binascii.Error:
            return None
        return decoded if len(decoded) == size else None

    def _with_care(self, piece: bytes) -> bytes:
        """Decode what has more in it than letters and newlines."""
        piece = piece.translate(None, _WHITE)
        cut = len(piece) - len(piece) % 4
        self._carry = piece[cut:]
        try:
            return binascii.a2b_base64(piece[:cut], strict_mode=True) if cut else b""
        except binascii.Error as error:
            self._wrong = f"is no base64 ({error})"
            return b""

    def _fill(self, decoded: bytes | memoryview) -> None:
        if self._inflate is None:
            self._append(decoded)
            return
        try:
            self._append(self._inflate.decompress(decoded, len(self._buffer) - self._filled + 1))
        except zlib.error as error:
            self._wrong = f"cannot be decompressed ({error})"

    def _append(self, content: bytes | memoryview) -> None:
        end = self._filled + len(content)
        if end > len(self._buffer):
            self._wrong = self._wrong or f"has more than the {len(self._buffer)} bytes that were announced"
            return
        self._view[self._filled : end] = content
        self._filled = end

    def map(self, descriptor: int | None) -> None:
        """Take shared memory of the server's; the descriptor is closed."""
        if descriptor is None:
            self._wrong = self._wrong or "came without its shared memory"
            return
        try:
            size = len(self._buffer)
            if not self._wrong and os.fstat(descriptor).st_size < size:
                self._wrong = f"has less than the {size} bytes that were announced"
            if not self._wrong and size:
                self._share(descriptor, size)
        except OSError as error:
            self._wrong = f"cannot be read from its shared memory ({error})"
        finally:
            os.close(descriptor)

    def _share(self, descriptor: int, size: int) -> None:
        # The size is that of what comes out of a compressed one.
        if self._inflate is not None:
            content = os.pread(descriptor, min(os.fstat(descriptor).st_size, MAX_BLOB), 0)
            self._fill(content)
        elif _is_sealed(descriptor):
            self._view = memoryview(mmap.mmap(descriptor, size, prot=mmap.PROT_READ))
            self._filled = size
        else:
            # Whoever made it could make it shorter, and kill us who read there.
            self._filled = os.preadv(descriptor, [self._view], 0)

    def finish(self) -> memoryview:
        """The bytes, read-only. Raises `DeviceError` for what is cut, too long, or not what it says."""
        if not self._wrong and (self._carry or self._filled != len(self._buffer)):
            self._wrong = f"has {self._filled} bytes of the {len(self._buffer)} that were announced"
        if self._wrong:
            raise DeviceError(f"a BLOB of {self._device} {self._wrong}; look at its INDI driver", device=self._device)
        _last[:] = [self._buffer]
        return self._view.toreadonly()


def _room_for(size: int) -> bytearray:
    """Memory for a BLOB: that of the last one if nobody looks at it any more, as the pages of other memory cost more
    than what is written to them.

    """
    if _last and len(_last[0]) == size and _is_free(_last[0]):
        return _last.pop()
    # Pages are taken as they are filled: what is announced and never sent costs nothing.
    return bytearray(size)


def _is_free(room: bytearray) -> bool:
    try:
        # Python refuses to change the size of what is looked at.
        room.append(room.pop())
    except (BufferError, IndexError):
        return False
    return True


def _is_sealed(descriptor: int) -> bool:
    """Whether nobody can make it shorter any more."""
    try:
        return bool(fcntl.fcntl(descriptor, _F_GET_SEALS) & _F_SEAL_SHRINK)
    except OSError:
        return False


def decoder() -> Callable[[bytes | memoryview], bytes]:
    """The decoder of base64 that skips newlines. Raises `ConfigError` when it is not installed."""
    try:
        import pybase64
    except ImportError as error:
        raise ConfigError(f"BLOBs need {error.name}: install pytel-ocs[indi]") from error
    decode: Callable[[bytes | memoryview], bytes] = pybase64.b64decode
    return decode
