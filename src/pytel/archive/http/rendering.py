"""Headers, previews and pixels of stored images: made one at a time beside the event loop, kept while there is room."""

from __future__ import annotations

import asyncio
import json
import math
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from pytel.archive.files import StoredImage
from pytel.base.digests import sha256_of_file
from pytel.base.errors import Busy, ChecksumError, NotFound
from pytel.base.threads import in_thread
from pytel.base.units import Bytes

_MOST_WAITING = 32
_MOST_VERIFIED = 10000


class Rendered:
    """What was made of an image: bytes and header fields."""

    __slots__ = ("body", "fields")

    def __init__(self, body: bytes, fields: dict[str, str]) -> None:
        self.body, self.fields = body, fields


class Renderer:
    """Makes one thing at a time and remembers what was made last, in at most `room` bytes."""

    def __init__(self, room: Bytes = 16 * 2**20) -> None:
        self._room = int(room)
        self._kept: OrderedDict[str, Rendered] = OrderedDict()
        self._used = 0
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0
        self._verified: dict[str, str] = {}

    async def render(self, image: StoredImage, what: str, make: Callable[[Path], Rendered]) -> Rendered:
        """Give `what` of an image, which `make` makes of its file in a thread.

        Raises what `make` raises, `ChecksumError` for a file that was damaged, `Busy` when too many wait.
        """
        key = f"{image.id} {what}"
        if self._waiting >= _MOST_WAITING:
            raise Busy("too many pictures are asked for at once: ask again in a moment")
        self._waiting += 1
        try:
            async with self._turn:
                if key not in self._kept:
                    self._keep(key, await in_thread(self._make, image, make))
                self._kept.move_to_end(key)
                made = self._kept[key]
                self._trim()
                return made
        finally:
            self._waiting -= 1

    def _make(self, image: StoredImage, make: Callable[[Path], Rendered]) -> Rendered:
        if self._verified.get(image.id) != image.sha256:
            self._verify(image)
        return make(image.path)

    def _verify(self, image: StoredImage) -> None:
        try:
            actual = sha256_of_file(image.path)
        except OSError as error:
            raise NotFound(f"image {image.id} is no longer in the store", id=image.id) from error
        if actual != image.sha256:
            raise ChecksumError(f"image {image.id} was damaged on the store's disk", id=image.id)
        while len(self._verified) >= _MOST_VERIFIED:
            del self._verified[next(iter(self._verified))]
        self._verified[image.id] = image.sha256

    def _keep(self, key: str, made: Rendered) -> None:
        self._kept[key] = made
        self._used += len(made.body)

    def _trim(self) -> None:
        while self._used > self._room:
            _, oldest = self._kept.popitem(last=False)
            self._used -= len(oldest.body)


def header(path: Path) -> Rendered:
    """The cards as JSON: a list of [keyword, value, comment] in the order of the file."""
    from pytel.imaging.frames import open_frame

    with open_frame(path) as frame:
        cards = [[card.keyword, _finite(card.value), card.comment] for card in frame.cards]
    return Rendered(json.dumps(cards, ensure_ascii=False).encode(), {"content-type": "application/json"})


def _finite(value: str | float | bool | None) -> str | float | bool | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
