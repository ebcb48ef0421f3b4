"""Images by reference: written once into the store, mapped or read wherever they are needed.

ref = await self.images.put(lambda path: write(path))   # (size, sha256) of what was written
image = await self.images.get(ref)                      # pixels and header
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pytel.base import clock, ids
from pytel.base.errors import ChecksumError, ConnectionLost, ModuleNotFound, NotFound, NotReady, Timeout
from pytel.base.files import storage_full_named
from pytel.base.threads import in_thread
from pytel.base.units import Seconds
from pytel.interfaces.images import ImageRef
from pytel.interfaces.imagestore import ImageStore, StoreDirectory
from pytel.services.timing import patient

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytel.module.module import Module

T = TypeVar("T")
Write = Callable[[Path], tuple[int, str]]
"""Writes a file (in a thread) and returns its size and SHA-256 (hex)."""
PATIENCE: Seconds = 60.0
"""How long a store may be away, restarting, before an image counts as lost."""
_REMEMBERED = 1000
_PASSING = (ConnectionLost, ModuleNotFound, NotReady, Timeout)


class Image(NamedTuple):
    """The pixels (rows, columns) of an image and the values of its header."""

    pixels: NDArray[Any]
    header: dict[str, str | int | float | bool | None]


class ImageClient:
    """How a module reads and writes images; it never holds more than the one at hand."""

    def __init__(self, module: Module) -> None:
        self._transport = SharedDirectory(module)
        self._verified: dict[str, str] = {}

    async def put(self, write: Write) -> ImageRef:
        """Have `write` make a file in the store and commit it; on disk when this returns.

        A store that restarts meanwhile is waited for. Raises `StorageFull`, `ModuleNotFound`, `ConnectionLost`.
        """
        ref = await self._transport.put(write)
        self._remember(ref)
        return ref

    async def path(self, ref: ImageRef) -> Path:
        """Give a file with the image's bytes, to be read or mapped, never written; it is verified once.

        Raises `NotFound` when the store no longer has it, `ChecksumError` when the bytes are not those announced.
        """
        path = await self._transport.fetch(ref)
        if self._verified.get(ref.id) != ref.sha256:
            await in_thread(_verify, path, ref)
            self._remember(ref)
        return path

    async def get(self, ref: ImageRef) -> Image:
        """Read an image. Raises what `path` raises, and `ImageError` for a file that is no image."""
        from pytel.imaging.fits import read_fits

        path = await self.path(ref)
        pixels, header = await in_thread(read_fits, path)
        return Image(pixels, header)

    def _remember(self, ref: ImageRef) -> None:
        while len(self._verified) >= _REMEMBERED:
            del self._verified[next(iter(self._verified))]
        self._verified[ref.id] = ref.sha256


class SharedDirectory:
    """The way to a store on the same host: its own files. (One over HTTP has the same two methods.)"""

    def __init__(self, module: Module) -> None:
        self._module = module

    async def put(self, write: Write) -> ImageRef:
        """Write `incoming/<upload>` and have the store take it over."""
        store = self._module.find(ImageStore)
        directory = await _patiently(store.shared_directory)
        await in_thread(prove_same_host, directory)
        upload = f"{ids.new_id()}.part"
        part = Path(directory.path) / "incoming" / upload
        try:
            size, sha256 = await in_thread(_written, write, part)
            return await _patiently(lambda: store.commit(upload, sha256, size))
        except BaseException:
            await in_thread(_remove, part)
            raise

    async def fetch(self, ref: ImageRef) -> Path:
        """Find the image's file. Raises `NotFound`."""
        store = self._module.find(ImageStore, name=ref.store)
        directory = await _patiently(store.shared_directory)
        await in_thread(prove_same_host, directory)
        return await in_thread(_file_of, directory, ref)


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call that does no harm twice until the store is back."""
    ends = clock.time() + patient(PATIENCE, 30.0)
    while True:
        try:
            return await call()
        except _PASSING:
            if clock.time() >= ends:
                raise
        await clock.sleep(patient(1.0))


def prove_same_host(directory: StoreDirectory) -> None:
    """Open the store's nonce. Raises `ConnectionLost` when it is not there: the store is on another host."""
    with contextlib.suppress(OSError):
        if (Path(directory.path) / "nonce").read_text().strip() == directory.nonce:
            return
    raise ConnectionLost(
        f"the image store keeps its files in {directory.path}, which this host does not see; run both on one host"
    )


def _written(write: Write, part: Path) -> tuple[int, str]:
    with storage_full_named(part):
        return write(part)


def _remove(part: Path) -> None:
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)


def _file_of(directory: StoreDirectory, ref: ImageRef) -> Path:
    if not ids.is_id(ref.id):
        raise NotFound(f"{ref.id!r} is no image id", id=ref.id)
    path = Path(directory.path) / f"{ref.id}.fits"
    if not path.is_file():
        raise NotFound(f"{ref.store} no longer has image {ref.id}: it was archived and made room", id=ref.id)
    return path


def _verify(path: Path, ref: ImageRef) -> None:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError as error:
        raise NotFound(f"image {ref.id} cannot be read from {path}: {error}", id=ref.id) from error
    if digest.hexdigest() != ref.sha256:
        raise ChecksumError(f"{path} has other bytes than image {ref.id} was announced with", id=ref.id)
