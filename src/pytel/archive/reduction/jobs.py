"""What a worker is asked, and what it answers: plain data, as it goes to other processes and hosts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct, field

from pytel.base.units import Degrees, Duration, Magnitude
from pytel.interfaces.images import FrameType


class Source(Struct, frozen=True, kw_only=True):
    """An image that a worker reads: at `path` where its host has it, else from `url` by its id."""

    id: str
    sha256: str
    size: int
    path: str | None = None
    url: str | None = None
    token: str | None = None
    certificate: str | None = None


class ReductionSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How frames are reduced."""

    cosmics: bool = True
    """Look for cosmic rays and fill them in."""
    catalogue: str | None = None
    """A file of stars (`pytel catalogue pack`), relative to the site file, to be used instead of the bundled ones."""
    threshold: Annotated[float, Meta(gt=0)] = 5.0
    """Sources stand out of the noise by this factor."""
    solve_radius: Annotated[Degrees, Meta(gt=0, le=10)] = 0.5
    """How far off the header's coordinates may be."""
    star_limit: Magnitude = 16.0
    """How faint the stars of the catalogue are that frames are compared with."""
    extinction: dict[str, Magnitude] = field(default_factory=lambda: {"B": 0.25, "V": 0.15, "R": 0.10, "I": 0.06})
    """Of a clear sky, per airmass, by filter."""
    other_extinction: Magnitude = 0.15
    """Of filters that are not named."""
    zero_points: dict[str, Magnitude] = {}
    """Of a clear night, above the atmosphere, by filter: what the transparency is measured by."""


class FrameJob(Struct, frozen=True, kw_only=True):
    """Reduce one raw frame into the file `output`; without it, the answer carries the bytes."""

    raw: Source
    masters: dict[FrameType, Source]
    settings: ReductionSettings
    invented: bool = False
    """Whether the sky is that of the simulated world, with its invented stars."""
    created: datetime
    output: str | None = None


class MasterJob(Struct, frozen=True, kw_only=True):
    """Combine frames of one kind into a master in the file `output`, or in the answer."""

    frame_type: FrameType
    raws: list[Source]
    masters: dict[FrameType, Source]
    created: datetime
    output: str | None = None


class Product(Struct, frozen=True, kw_only=True):
    """A file that was made: its size and checksum, what could not be measured and why, and its bytes if asked for.

    `seconds` is how long each step took.
    """

    size: int
    sha256: str
    remarks: list[str] = []
    seconds: dict[str, Duration] = {}
    content: bytes | None = None
