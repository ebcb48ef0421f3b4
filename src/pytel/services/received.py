"""Bytes as they come over a line: straight into memory or the pages of a file, and hashed beside the event loop."""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import os
from typing import BinaryIO

from pytel.base.errors import ChecksumError
from pytel.base.threads import in_thread
from pytel.base.units import Bytes

_BATCH = 2**20


class Received:
    """The first `size` bytes of an image whose whole length is known."""

    def __init__(self, content: mmap.mmap, expected: Bytes) -> None:
        self.content = content
        self.expected = int(expected)
        self.size = 0
        self._hashed = 0
        self._digest = hashlib.sha256()
        self._hashing: asyncio.Future[None] | None = None

    @classmethod
    def into_memory(cls, expected: Bytes) -> Received:
        """Keep the bytes in memory: pages of their own, which nobody fills with zeros first."""
        return cls(mmap.mmap(-1, max(1, int(expected))), expected)

    @classmethod
    def into_file(cls, file: BinaryIO, expected: Bytes) -> Received:
        """Keep them in a file, whose room is taken at once; blocking. Raises `OSError` when there is too little."""
        os.posix_fallocate(file.fileno(), 0, max(1, int(expected)))
        return cls(mmap.mmap(file.fileno(), max(1, int(expected))), expected)

    @property
    def missing(self) -> int:
        """How many bytes are still to come."""
        return self.expected - self.size

    def room(self) -> memoryview:
        """Where the next bytes belong."""
        return memoryview(self.content)[self.size : self.expected]

    def advance(self, count: int) -> None:
        """Tell that `count` bytes have been put there."""
        self.size += count
        if self.size - self._hashed >= _BATCH and (self._hashing is None or self._hashing.done()):
            self._hash()

    def add(self, chunk: bytes) -> None:
        """Take further bytes. Raises `ChecksumError` when they are more than expected."""
        if len(chunk) > self.missing:
            raise ChecksumError(f"more than the expected {self.expected} bytes came")
        self.room()[: len(chunk)] = chunk
        self.advance(len(chunk))

    async def start_again(self) -> None:
        """Forget everything."""
        await self._until_hashed()
        self._digest, self.size, self._hashed = hashlib.sha256(), 0, 0

    async def sha256(self) -> str:
        """SHA-256 (hex) of what came."""
        while self._hashed < self.size or self._hashing is not None:
            await self._until_hashed()
            if self._hashed < self.size:
                self._hash()
        return self._digest.hexdigest()

    async def _until_hashed(self) -> None:
        if self._hashing is not None:
            await asyncio.wait([self._hashing])
            self._hashing.result()
            self._hashing = None

    def _hash(self) -> None:
        part = memoryview(self.content)[self._hashed : self.size]
        self._hashed = self.size
        self._hashing = asyncio.ensure_future(in_thread(self._digest.update, part))
