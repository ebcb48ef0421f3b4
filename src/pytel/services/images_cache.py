"""Copies of images that a module has fetched from a store on another host; blocking."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from pytel.base import ids
from pytel.base.digests import sha256_of_file
from pytel.base.units import Bytes
from pytel.interfaces.images import ImageRef


class ImageCache:
    """A directory of at most `room` bytes and the image fetched last; the oldest copies go first."""

    def __init__(self, directory: Callable[[], Path], room: Bytes = 2**30) -> None:
        self._find_directory, self._room = directory, int(room)

    @property
    def _directory(self) -> Path:
        return self._find_directory()

    def new_part(self) -> Path:
        """A name for a file that is not whole yet."""
        directory = self._directory
        directory.mkdir(parents=True, exist_ok=True)
        return directory / f"{ids.new_id()}.part"

    def find(self, ref: ImageRef) -> Path | None:
        """The copy of an image, if it is here and whole."""
        path = self._path(ref)
        with contextlib.suppress(OSError):
            if sha256_of_file(path) == ref.sha256:
                return path
        return None

    def keep(self, part: Path, ref: ImageRef) -> Path:
        """Give a file that was received its name, and make room for it."""
        self._make_room(ref.size)
        return part.replace(self._path(ref))

    def _path(self, ref: ImageRef) -> Path:
        return self._directory / f"{ref.id}.fits"

    def _make_room(self, size: Bytes) -> None:
        kept = []
        for path in self._directory.glob("*.fits"):
            with contextlib.suppress(OSError):
                found = path.stat()
                kept.append((found.st_mtime, found.st_size, path))
        used = sum(entry[1] for entry in kept) + int(size)
        for _, bytes_, path in sorted(kept):
            if used <= self._room:
                break
            path.unlink(missing_ok=True)
            used -= bytes_
