"""What passes between modules about images: references, never pixels."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pytel.base.units import Bytes, Seconds
from pytel.module import Event, Struct


class FrameType(StrEnum):
    """What a frame is for (FITS keyword IMAGETYP)."""

    OBJECT = "object"
    BIAS = "bias"
    DARK = "dark"
    FLAT = "flat"
    FOCUS = "focus"
    ACQUISITION = "acquisition"
    GUIDE = "guide"


class ReductionLevel(StrEnum):
    """What was made of an image (FITS keyword PROCTYPE; a file without it is raw).

    `SUPERSEDED` is a reduced image of which there is a later one, made with better masters.
    """

    RAW = "raw"
    REDUCED = "reduced"
    MASTER = "master"
    SUPERSEDED = "superseded"


class ImageRef(Struct, frozen=True, kw_only=True):
    """Names an image in a store: enough to fetch it and to prove that it is whole.

    `store` is the address of the module that keeps it.
    """

    id: str
    sha256: str
    size: Bytes
    store: str


class NewImage(Event, frozen=True, kw_only=True):
    """A camera has taken an image and the store has it."""

    image: ImageRef
    camera: str
    frame_type: FrameType
    exposure_time: Seconds
    start: datetime
    filter: str | None = None
    object: str | None = None
    task: str | None = None
