"""Images for good: a tree by night and a database."""

from __future__ import annotations

from datetime import date, datetime

from pytel.base.units import Declination, RightAscension, Seconds
from pytel.interfaces.images import FrameType, ImageRef, ReductionLevel
from pytel.module import Capabilities, Event, Interface, Role, State, Struct, rpc


class ArchivedImage(Struct, frozen=True, kw_only=True):
    """An image in the archive. `path` is relative to the archive's root, `night` the local date of its evening."""

    id: str
    sha256: str
    size: int
    path: str
    night: date
    camera: str
    frame_type: FrameType
    exposure_time: Seconds
    start: datetime
    filter: str | None = None
    object: str | None = None
    task: str | None = None
    exposure_index: int | None = None
    ra: RightAscension | None = None
    dec: Declination | None = None
    reduction_level: ReductionLevel = ReductionLevel.RAW
    raw: str | None = None
    """The raw image that a reduced one was made of."""


class ImageArchived(Event, frozen=True, kw_only=True):
    """An image is safe in the archive."""

    image: ImageRef
    archived: ArchivedImage


class ImageArchiveState(State, frozen=True, kw_only=True):
    """What the archive holds; `pending` images are known and not yet archived."""

    images: int
    pending: int
    last: ArchivedImage | None = None


class ImageArchiveCapabilities(Capabilities, frozen=True, kw_only=True):
    """Where the archive keeps its files, on its host; paths of images are relative to it."""

    directory: str


class ImageArchive(Interface, state=ImageArchiveState, events=(ImageArchived,), capabilities=ImageArchiveCapabilities):
    """Copies each new image from its store into the archive."""

    @rpc(role=Role.VIEWER)
    async def find_images(
        self,
        night: date | None = None,
        task: str | None = None,
        frame_type: FrameType | None = None,
        object: str | None = None,  # noqa: A002 - the FITS word
        limit: int = 1000,
        reduction_level: ReductionLevel | None = ReductionLevel.RAW,
        sha256: str | None = None,
    ) -> list[ArchivedImage]:
        """Find images, oldest first; raw ones unless another level, or None for all, is asked for."""
        raise NotImplementedError

    @rpc(role=Role.VIEWER)
    async def get_image(self, id: str) -> ArchivedImage:  # noqa: A002 - the word of the protocol
        """Look one image up. Raises `NotFound`."""
        raise NotImplementedError
