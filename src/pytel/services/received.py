"""Bytes as they come over a line: kept in memory or a file, and hashed, beside the event loop."""

from __future__ import annotations

import asyncio
import hashlib
from typing import BinaryIO

from pytel.base.errors import ChecksumError
from pytel.base.threads import in_thread
from pytel.base.units import Bytes

_BATCH = 2**20


class Received:
    """The first `size` bytes of `expected`; one batch is kept while the next one comes."""

    def __init__(self, expected: Bytes, file: BinaryIO | None) -> None:
        self._expected, self._file = int(expected), file
        self.content = bytearray(0 if file else self._expected)
        self._digest = hashlib.sha256()
        self.size = 0
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._keeping: asyncio.Future[None] | None = None

    async def add(self, chunk: bytes) -> None:
        """Take further bytes. Raises `ChecksumError` when they are more than expected."""
        if self.size + self._waiting_size + len(chunk) > self._expected:
            raise ChecksumError(f"more than the expected {self._expected} bytes came")
        self._waiting.append(chunk)
        self._waiting_size += len(chunk)
        if self._waiting_size >= _BATCH:
            await self._hand_over()

    async def settle(self) -> None:
        """Keep all that came."""
        await self._hand_over()
        await self._kept()

    async def start_again(self) -> None:
        """Forget everything."""
        await self.settle()
        self._digest, self.size = hashlib.sha256(), 0
        if self._file is not None:
            await in_thread(self._file.seek, 0)
            await in_thread(self._file.truncate)

    async def sha256(self) -> str:
        """SHA-256 (hex) of what came."""
        await self.settle()
        return self._digest.hexdigest()

    async def _hand_over(self) -> None:
        await self._kept()
        if not self._waiting:
            return
        chunks, start = self._waiting, self.size
        self.size += self._waiting_size
        self._waiting, self._waiting_size = [], 0
        self._keeping = asyncio.ensure_future(in_thread(self._keep, chunks, start))

    async def _kept(self) -> None:
        if self._keeping is not None:
            await asyncio.wait([self._keeping])
            keeping, self._keeping = self._keeping, None
            keeping.result()

    def _keep(self, chunks: list[bytes], start: int) -> None:
        for chunk in chunks:
            if self._file is None:
                self.content[start : start + len(chunk)] = chunk
            else:
                left = memoryview(chunk)
                while left:
                    left = left[self._file.write(left) :]
            start += len(chunk)
            self._digest.update(chunk)
