"""The way to an image store on the same host: its own files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytel.base import ids
from pytel.base.digests import sha256_of_file
from pytel.base.errors import ChecksumError, NotFound
from pytel.base.files import storage_full_named
from pytel.base.seals import is_sealed
from pytel.base.threads import in_thread
from pytel.interfaces.images import ImageRef
from pytel.interfaces.imagestore import ImageStore, StoreDirectory
from pytel.services.patience import patiently

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytel.imaging.headers import CardValue

Write = Callable[[Path], tuple[int, str]]
"""Writes a file (in a thread) and returns its size and SHA-256 (hex)."""
_LONGEST_NONCE = 1000


def is_here(directory: StoreDirectory) -> bool:
    """Whether this host sees the store's directory and no other of the same name: its nonce is there."""
    with contextlib.suppress(OSError, UnicodeDecodeError), (Path(directory.path) / "nonce").open("rb") as file:
        return file.read(_LONGEST_NONCE).decode().strip() == directory.nonce != ""
    return False


async def put_shared(store: ImageStore, directory: StoreDirectory, write: Write) -> ImageRef:
    """Write `incoming/<upload>` and have the store take it over."""
    upload = f"{ids.new_id()}.part"
    part = Path(directory.path) / "incoming" / upload
    try:
        size, sha256 = await in_thread(_written, write, part)
        return await patiently(lambda: store.commit(upload, sha256, size))
    except BaseException:
        await in_thread(_remove, part)
        raise


def file_of(directory: StoreDirectory, ref: ImageRef) -> Path:
    """The file of an image; blocking. Raises `NotFound`."""
    if not ids.is_id(ref.id):
        raise NotFound(f"{ref.id!r} is no image id", id=ref.id)
    path = Path(directory.path) / f"{ref.id}.fits"
    if not path.is_file():
        raise NotFound(f"{ref.store} no longer has image {ref.id}: it was archived and made room", id=ref.id)
    return path


def verify(path: Path, ref: ImageRef) -> None:
    """Hold a file against what was announced; blocking. Raises `ChecksumError`, `NotFound`."""
    try:
        actual = sha256_of_file(path)
    except OSError as error:
        raise NotFound(f"image {ref.id} cannot be read from {path}: {error}", id=ref.id) from error
    if actual != ref.sha256:
        raise ChecksumError(f"{path} has other bytes than image {ref.id} was announced with", id=ref.id)


def read(path: Path, ref: ImageRef, *, verified: bool) -> tuple[NDArray[Any], dict[str, CardValue]]:
    """Read an image; blocking. Raises `ChecksumError`, `NotFound`, `ImageError`.

    A file sealed for the SHA-256 of the image is held against its FITS checksum, in the pass that reads it; any other
    is hashed meanwhile.
    """
    from pytel.imaging.fits import ImageError, read_fits

    if verified:
        return read_fits(path, checked=True)
    with contextlib.suppress(OSError, ImageError):
        if is_sealed(path, ref.sha256):
            pixels, header = read_fits(path)
            # Of the first unit the checksum covers every byte; others are hashed.
            if header.get("SIMPLE") is True and "CHECKSUM" in header:
                return pixels, header
    with ThreadPoolExecutor(1, thread_name_prefix="pytel-sha256") as other:
        reading = other.submit(read_fits, path, checked=True)
        verify(path, ref)
        return reading.result()


def _written(write: Write, part: Path) -> tuple[int, str]:
    with storage_full_named(part):
        return write(part)


def _remove(part: Path) -> None:
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)
