"""How a worker gets at an image: the file where its host has it, or HTTP, resumed and verified."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytel.archive.reduction.jobs import Source
from pytel.base.digests import sha256_of_file
from pytel.base.errors import ChecksumError, NotFound
from pytel.interfaces.images import ImageRef
from pytel.interfaces.imagestore import StoreAccess

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_KEPT_MASTERS = 4


@contextlib.contextmanager
def fetched(source: Source) -> Iterator[Path]:
    """A file with the image's bytes, proved whole, for the length of a block.

    Raises `NotFound` when neither path nor store has it, `ChecksumError` when it is another, `ConnectionLost`.
    """
    path = None if source.path is None else Path(source.path)
    if path is not None and path.is_file():
        if sha256_of_file(path) != source.sha256:
            raise ChecksumError(f"{path} has other bytes than image {source.id} was announced with", id=source.id)
        yield path
        return
    if source.url is None or source.token is None:
        raise NotFound(f"image {source.id} is at {source.path} on another host and no store serves it", id=source.id)
    with tempfile.TemporaryDirectory(prefix="pytel-reduction-") as directory:
        yield _download(source, source.url, source.token, Path(directory))


def _download(source: Source, url: str, token: str, directory: Path) -> Path:
    """Receive the image in an event loop of its own: the thread of a worker has none, or one that must not wait."""
    from pytel.services.images_http import HttpImages

    async def access() -> StoreAccess:
        return StoreAccess(url=url, token=token, certificate=source.certificate)

    ref = ImageRef(id=source.id, sha256=source.sha256, size=source.size, store="store")
    found: list[Path] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(asyncio.run(HttpImages(access, lambda: directory).path(ref)))
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
            failed.append(error)

    thread = threading.Thread(target=run, name="pytel-fetch")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


def master_pixels(source: Source) -> NDArray[np.float32]:
    """The pixels of a master; the last few are kept, as frame after frame asks for the same."""
    pixels: NDArray[np.float32] = _kept_master(_ByChecksum(source))
    return pixels


class _ByChecksum:
    """A source that equals another of the same content, wherever that is."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __hash__(self) -> int:
        return hash(self.source.sha256)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByChecksum) and self.source.sha256 == other.source.sha256


@functools.lru_cache(maxsize=_KEPT_MASTERS)
def _kept_master(key: _ByChecksum) -> Any:
    import numpy as np

    from pytel.imaging.fits import read_fits

    with fetched(key.source) as path:
        pixels, _ = read_fits(path, checked=True)
    out = np.ascontiguousarray(pixels, dtype=np.float32)
    out.setflags(write=False)
    return out
