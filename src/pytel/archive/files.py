"""The directory of an image store: producers write into `incoming/`, the store takes over what is whole.

    directory/nonce            proves to a client that it sees this very directory
    directory/incoming/NAME    an upload, written by a producer
    directory/ID.fits          an image
    directory/journal.jsonl    which upload became which image, and which images are released

What is on disk decides: an image is stored when its file has its name. It may be killed at any point. Blocking.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pytel.archive.journal import Line, Lines, append_to_journal, read_journal, rewrite_journal
from pytel.base import clock, ids
from pytel.base.digests import sha256_of_file
from pytel.base.errors import ChecksumError, Conflict, InvalidParams, NotFound, StorageFull
from pytel.base.files import sync_directory, write_atomically
from pytel.base.seals import prove
from pytel.base.units import Bytes, Seconds

_UPLOAD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_STALE_AFTER = 3600.0
_JOURNAL_SLACK = 1000


class StoredImage(NamedTuple):
    """An image in the store: its file, and whether it may go when room is needed."""

    id: str
    sha256: str
    size: int
    path: Path
    released: bool


class Upload(NamedTuple):
    """What became an image: the name under which it was announced, its SHA-256 (hex) and size."""

    upload: str
    sha256: str
    size: int


class ImageDirectory:
    """Images of at most `capacity` bytes together; use `open()` first. Safe to call from several threads.

    Only released images are ever evicted, oldest first.
    """

    def __init__(self, path: Path, capacity: Bytes) -> None:
        self.path = path
        self.capacity = int(capacity)
        self.incoming = path / "incoming"
        self.nonce = ""
        self._journal = path / "journal.jsonl"
        self._journal_lines = 0
        self._entries: dict[str, Upload] = {}
        self._released: set[str] = set()
        self._first_seen: dict[str, float] = {}
        self._lock = threading.RLock()

    def open(self) -> ImageDirectory:
        """Make the directory, or take up one that is there, after whatever end. Raises `StorageFull` for a new one."""
        with self._lock:
            self.incoming.mkdir(parents=True, exist_ok=True)
            self._read_nonce()
            self._replay(read_journal(self._journal))
            self._adopt_strangers()
            self.remove_stale_uploads()
            # With a full disk the old journal does as well.
            with contextlib.suppress(StorageFull):
                self._compact()
        return self

    @property
    def used(self) -> int:
        """Bytes of all images."""
        with self._lock:
            return sum(entry.size for entry in self._entries.values())

    def list(self) -> list[StoredImage]:
        """All images, oldest first."""
        with self._lock:
            return [self._stored(image) for image in self._entries]

    def get(self, image: str) -> StoredImage:
        """One image by its id. Raises `NotFound`."""
        with self._lock:
            if image not in self._entries:
                raise NotFound(f"no image {image[:40]!r} in {self.path}", id=image[:40])
            return self._stored(image)

    def commit(self, upload: str, sha256: str, size: Bytes) -> StoredImage:
        """Take over `incoming/upload` as an image, once it is proved whole; the same call again gives the same image.

        Raises `InvalidParams`, `NotFound`, `ChecksumError`, `Conflict` (the upload's name belongs to another image)
        and `StorageFull`; after each of these the upload and all images are as they were.
        """
        if not (_UPLOAD.fullmatch(upload) and _SHA256.fullmatch(sha256)):
            raise InvalidParams(f"upload {upload[:40]!r} with sha256 {sha256[:70]!r} is no file name with a checksum")
        with self._lock:
            source = self.incoming / upload
            if known := self._known(upload, sha256, source):
                return known
            _verify(source, sha256, int(size))
            self.make_room(int(size))
            return self._take_over(source, Upload(upload, sha256, int(size)))

    def adopt(self, part: Path, entry: Upload, image: str | None = None) -> tuple[StoredImage, bool]:
        """Take over a file that the store itself wrote, hashed and synced; tells also whether it is a further image.

        The same upload again gives the image it became, as does the same `image` (an id that the sender chose); the
        file is removed then. Raises `Conflict` when one of them stands for other bytes, and `StorageFull`.
        """
        with self._lock:
            if known := self._same(entry, image):
                part.unlink(missing_ok=True)
                return known, False
            self.make_room(entry.size)
            return self._take_over(part, entry, image), True

    def _same(self, entry: Upload, image: str | None) -> StoredImage | None:
        if image is None:
            found = [known for known, other in self._entries.items() if other.upload == entry.upload]
        else:
            found = [image] if image in self._entries else []
        for known in found:
            if self._entries[known].sha256 != entry.sha256:
                raise Conflict(f"image {known} was stored with another content: choose another id", id=known)
        return self._stored(found[0]) if found else None

    def check_room(self, size: Bytes) -> None:
        """Tell before an upload whether it may fit. Raises `StorageFull`; nothing is evicted."""
        with self._lock:
            kept = sum(entry.size for image, entry in self._entries.items() if image not in self._released)
            if kept + int(size) > self.capacity:
                raise self._no_room(size)

    def remove_older_than(self, age: Seconds) -> None:
        """Remove released images that were stored more than `age` of site time ago."""
        with self._lock:
            ends = clock.time() - age
            for image in [image for image in self._entries if image in self._released]:
                if ids.time_of(image) < ends:
                    self._evict(image)

    def _no_room(self, size: Bytes) -> StorageFull:
        return StorageFull(
            f"no room for {size} bytes in {self.path}: its images are not archived yet", path=str(self.path)
        )

    def release(self, image: str) -> None:
        """Allow an image to be evicted, as it is archived. Raises `NotFound`."""
        with self._lock:
            self.get(image)
            if image not in self._released:
                self._log({"release": image})
                self._released.add(image)

    def make_room(self, size: Bytes) -> None:
        """Evict released images until `size` more bytes fit. Raises `StorageFull`, with nothing evicted."""
        with self._lock:
            over = self.used + int(size) - self.capacity
            evictable = [image for image in self._entries if image in self._released]
            if over > sum(self._entries[image].size for image in evictable):
                raise self._no_room(size)
            for image in evictable:
                if over <= 0:
                    break
                over -= self._entries[image].size
                self._evict(image)

    def remove_stale_uploads(self) -> None:
        """Remove uploads that were seen more than an hour of site time ago and never committed."""
        with self._lock:
            now = clock.time()
            names = sorted(os.listdir(self.incoming))
            self._first_seen = {name: min(self._first_seen.get(name, now), now) for name in names}
            for name in [name for name in names if now - self._first_seen[name] > _STALE_AFTER]:
                with contextlib.suppress(IsADirectoryError, PermissionError, FileNotFoundError):
                    (self.incoming / name).unlink()
                del self._first_seen[name]

    def _stored(self, image: str) -> StoredImage:
        entry = self._entries[image]
        return StoredImage(image, entry.sha256, entry.size, self._file(image), image in self._released)

    def _file(self, image: str) -> Path:
        return self.path / f"{image}.fits"

    def _known(self, upload: str, sha256: str, source: Path) -> StoredImage | None:
        for image, entry in self._entries.items():
            if entry.upload == upload and entry.sha256 == sha256:
                return self._stored(image)
        if not source.exists() and any(entry.upload == upload for entry in self._entries.values()):
            raise Conflict(f"upload {upload} was committed with another content")
        return None

    def _take_over(self, source: Path, entry: Upload, chosen: str | None = None) -> StoredImage:
        image = chosen or ids.new_id()
        self._log({"commit": image, "upload": entry.upload, "sha256": entry.sha256, "size": entry.size})
        source.rename(self._file(image))
        sync_directory(self.path)
        self._entries[image] = entry
        self._first_seen.pop(entry.upload, None)
        return self._stored(image)

    def _evict(self, image: str) -> None:
        self._file(image).unlink(missing_ok=True)
        del self._entries[image]
        self._released.discard(image)

    def _log(self, line: Line) -> None:
        if self._journal_lines > 2 * len(self._entries) + _JOURNAL_SLACK:
            self._compact()
        append_to_journal(self._journal, line)
        self._journal_lines += 1

    def _read_nonce(self) -> None:
        file = self.path / "nonce"
        if not file.exists():
            write_atomically(file, [ids.new_id().encode()])
        self.nonce = file.read_text().strip()

    def _replay(self, lines: Iterable[Line]) -> None:
        """Believe the journal about images that are there."""
        self._entries, self._released, self._first_seen = {}, set(), {}
        for line in lines:
            match line:
                case {"commit": str(image), "upload": str(upload), "sha256": str(sha256), "size": int(size)}:
                    if ids.is_id(image) and _size_of(self._file(image)) == size:
                        self._entries[image] = Upload(upload, sha256, size)
                case {"release": str(image)} if image in self._entries:
                    self._released.add(image)
                case {"seen": str(upload), "at": int() | float() as at}:
                    self._first_seen[upload] = float(at)
                case _:
                    pass

    def _adopt_strangers(self) -> None:
        """Take in images that a damaged journal does not tell of."""
        for name in sorted(os.listdir(self.path)):
            image, dot, suffix = name.partition(".")
            size = _size_of(self.path / name)
            if suffix == "fits" and ids.is_id(image) and image not in self._entries and size is not None:
                self._entries[image] = Upload(
                    upload=f"{image}{dot}fits", sha256=sha256_of_file(self.path / name), size=size
                )

    def _compact(self) -> None:
        lines: Lines = []
        for image, entry in self._entries.items():
            lines.append({"commit": image, **entry._asdict()})
            if image in self._released:
                lines.append({"release": image})
        lines += [{"seen": upload, "at": at} for upload, at in self._first_seen.items()]
        rewrite_journal(self._journal, lines)
        self._journal_lines = len(lines)


def _verify(source: Path, sha256: str, size: int) -> None:
    """Hold an upload against what was announced, and sync it; what its writer has sealed is not read again."""
    actual = _size_of(source)
    if actual is None:
        raise NotFound(f"there is no upload {source}", path=str(source))
    if actual != size:
        raise ChecksumError(f"upload {source} has {actual} bytes, {size} were announced: write it again")
    _sync(source)
    if not prove(source, sha256):
        raise ChecksumError(f"upload {source} has not the announced sha256: write it again")


def _size_of(path: Path) -> int | None:
    """Size of a regular file; None for anything else (a link may lead anywhere)."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
