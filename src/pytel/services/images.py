"""Images by reference: written once into the store, mapped or read wherever they are needed.

ref = await self.images.put(lambda path: write(path))   # (size, sha256) of what was written
image = await self.images.get(ref)                      # pixels and header

A module that sees the store's own directory uses its files; any other speaks HTTP to it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytel.base.errors import NotFound
from pytel.base.threads import in_thread
from pytel.interfaces.images import ImageRef
from pytel.interfaces.imagestore import ImageStore, StoreDirectory
from pytel.services import images_shared as shared
from pytel.services.images_http import HttpImages
from pytel.services.images_shared import Write
from pytel.services.patience import patiently

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytel.module.module import Module

_REMEMBERED = 1000


class Image(NamedTuple):
    """The pixels (rows, columns) of an image and the values of its header."""

    pixels: NDArray[Any]
    header: dict[str, str | int | float | bool | None]


class ImageClient:
    """How a module reads and writes images; it never holds more than the one at hand."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._verified: dict[str, str] = {}
        self._directories: dict[str, StoreDirectory] = {}

    async def put(self, write: Write) -> ImageRef:
        """Have `write` make a file in the store and commit it; on the store's disk when this returns.

        A store that restarts meanwhile is waited for. Raises `StorageFull`, `ModuleNotFound`, `ConnectionLost`.
        """
        store = self._module.find(ImageStore)
        for known in (True, False):
            directory = await self._shared(store, "", known=known)
            if directory is None:
                break
            # A store that has moved finds no upload: it is asked where it is.
            with _unless_moved(known):
                ref = await shared.put_shared(store, directory, write)
                self._remember(ref)
                return ref
        return await self._http(store).put(write, str(self._module.address_of(store)))

    async def path(self, ref: ImageRef) -> Path:
        """Give a file with the image's bytes, to be read or mapped, never written; it is verified once.

        Where the store is on another host it is a copy in the module's own directory, kept until others need its room.
        Raises `NotFound` when the store no longer has it, `ChecksumError` when the bytes are not those announced.
        """
        path = await self._file(ref)
        if path is None:
            return await self._http(self._store_of(ref)).path(ref)
        if not self._is_verified(ref):
            await in_thread(shared.verify, path, ref)
            self._remember(ref)
        return path

    async def get(self, ref: ImageRef) -> Image:
        """Read an image. Raises what `path` raises, and `ImageError` for a file that is no image."""
        from pytel.imaging.fits import parse_fits

        path = await self._file(ref)
        if path is None:
            content = await self._http(self._store_of(ref)).content(ref)
            return Image(*await in_thread(parse_fits, content, checked=True, spent=True))
        return Image(*await in_thread(shared.read, path, ref, verified=self._is_verified(ref)))

    async def _file(self, ref: ImageRef) -> Path | None:
        """The store's own file of an image if this host sees it. Raises `NotFound`."""
        for known in (True, False):
            directory = await self._shared(self._store_of(ref), ref.store, known=known)
            if directory is None:
                break
            with _unless_moved(known):
                return await in_thread(shared.file_of, directory, ref)
        return None

    def _store_of(self, ref: ImageRef) -> ImageStore:
        return self._module.find(ImageStore, name=ref.store)

    async def _shared(self, store: ImageStore, name: str, *, known: bool) -> StoreDirectory | None:
        """The store's directory if this host sees it; a `known` one, under the name asked for, spares the question."""
        directory = self._directories.pop(name, None) if known else None
        if directory is None or not await in_thread(shared.is_here, directory):
            directory = await patiently(store.shared_directory)
            if not await in_thread(shared.is_here, directory):
                return None
        self._directories[name] = directory
        return directory

    def _http(self, store: ImageStore) -> HttpImages:
        return HttpImages(store.access, lambda: self._module.directory / "images")

    def _is_verified(self, ref: ImageRef) -> bool:
        return self._verified.get(ref.id) == ref.sha256

    def _remember(self, ref: ImageRef) -> None:
        while len(self._verified) >= _REMEMBERED:
            del self._verified[next(iter(self._verified))]
        self._verified[ref.id] = ref.sha256


def _unless_moved(known: bool) -> contextlib.AbstractContextManager[None]:
    """Pass over `NotFound` where the directory was only remembered."""
    return contextlib.suppress(NotFound) if known else contextlib.nullcontext()
