"""Files that the reduction makes on their way into the store: each exactly once, whenever the module is killed."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pytel.archive.reduction.jobs import Product, Source
from pytel.archive.reduction.ledger import Ledger, Made
from pytel.base.digests import sha256_of_file
from pytel.base.errors import ModuleNotFound, NotFound, NotReady
from pytel.base.files import sync_directory, write_atomically
from pytel.base.threads import in_thread
from pytel.interfaces.imagearchive import ArchivedImage, ImageArchive, ImageArchiveCapabilities
from pytel.interfaces.images import ImageRef
from pytel.interfaces.imagestore import ImageStore

if TYPE_CHECKING:
    from pytel.services import Module


class Files:
    """Reads raws from archive or store, and puts what was made into the store."""

    def __init__(self, module: Module, ledger: Ledger, directory: Path, *, remote: bool) -> None:
        self._module = module
        self._ledger = ledger
        self._directory = directory
        self._remote = remote
        """Workers may be on other hosts."""

    def place(self, name: str) -> Path:
        """Where a file is made."""
        return self._directory / f"{name}.fits"

    def output(self, name: str) -> str | None:
        """Where a worker writes a file; None, and it answers with the bytes, where it may be on another host."""
        return None if self._remote else str(self.place(name))

    async def source(self, image: ArchivedImage) -> Source:
        """Where workers find an archived image."""
        root = Path((await self._module.capabilities_of(ImageArchiveCapabilities)).directory)
        path = root / image.path
        ref = ImageRef(id=image.id, sha256=image.sha256, size=image.size, store=self._store_name())
        if not await in_thread(path.is_file):
            path = await self._module.images.path(ref)
        return await self._described(ref, path)

    async def stored_source(self, ref: ImageRef) -> Source:
        """Where workers find an image by its reference: in the store, or else in the archive."""
        try:
            return await self._described(ref, await self._module.images.path(ref))
        except NotFound:
            return await self.source(await self._module.find(ImageArchive).get_image(ref.id))

    async def _described(self, ref: ImageRef, path: Path) -> Source:
        url = token = certificate = None
        if self._remote:
            with contextlib.suppress(NotReady):
                access = await self._module.find(ImageStore).access()
                url, token, certificate = access.url, access.token, access.certificate
        return Source(
            id=ref.id, sha256=ref.sha256, size=ref.size, path=str(path), url=url, token=token, certificate=certificate
        )

    def _store_name(self) -> str:
        return str(self._module.address_of(self._module.find(ImageStore)))

    async def produce(self, name: str, make: Callable[[], Awaitable[Product]]) -> ImageRef:
        """Have a file made and put into the store; one that was made before a crash is taken as it is."""
        made = self._ledger.made.get(name)
        place = self.place(name)
        if made is not None:
            kept = await self._kept(made)
            if kept is not None:
                return kept
        if made is None or not await in_thread(_is_whole, place, made):
            product = await make()
            if product.content is not None:
                await in_thread(write_atomically, place, [product.content])
            made = Made(name=name, size=product.size, sha256=product.sha256)
            await in_thread(self._ledger.note, made)
        size, sha256 = made.size, made.sha256

        def write(path: Path) -> tuple[int, str]:
            _copy(place, path)
            return size, sha256

        return await self._module.images.put(write)

    async def forget(self, name: str) -> None:
        """The result is on record: the file in the store is enough."""
        await in_thread(self.place(name).unlink, missing_ok=True)

    async def _kept(self, made: Made) -> ImageRef | None:
        """The image in store or archive that this file became before a crash, if it did."""
        for ref in await self._module.find(ImageStore).list_images():
            if ref.sha256 == made.sha256:
                return ref
        with contextlib.suppress(ModuleNotFound):
            found = await self._module.find(ImageArchive).find_images(sha256=made.sha256, reduction_level=None)
            for image in found[:1]:
                return ImageRef(id=image.id, sha256=image.sha256, size=image.size, store=self._store_name())
        return None


def _is_whole(path: Path, made: Made) -> bool:
    return path.is_file() and path.stat().st_size == made.size and sha256_of_file(path) == made.sha256


def _copy(source: Path, target: Path) -> None:
    """A second name, or a copy where the store is on another disk."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
    sync_directory(target.parent)
