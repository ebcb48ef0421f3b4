"""Which frames belong together, and which master fits a frame best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from msgspec import Struct

from pytel.base.errors import InvalidParams
from pytel.base.units import Celsius, Seconds
from pytel.imaging.headers import CardValue
from pytel.interfaces.images import FrameType
from pytel.interfaces.reduction import CalibrationMissing, MasterFrame

Header = Mapping[str, CardValue]


class DetectorSetup(Struct, frozen=True, kw_only=True):
    """How a frame was read: frames of one setup can be combined, and calibrate each other."""

    camera: str
    binning: tuple[int, int] = (1, 1)
    origin: tuple[int, int] = (0, 0)
    shape: tuple[int, int] = (0, 0)
    """Rows, columns."""
    gain: float | None = None
    temperature: Celsius | None = None
    """As asked for where the camera has a cooler, as measured otherwise."""
    filter: str | None = None
    """Only of frames that light fell on."""


class Master(Struct, frozen=True, kw_only=True):
    """A master frame, the setup it fits, and the raws it is made of."""

    frame: MasterFrame
    setup: DetectorSetup
    raws: list[str]


def setup_of(header: Header, frame_type: FrameType) -> DetectorSetup:
    """The setup that a header tells of. Raises `InvalidParams` when it has no camera or size."""
    camera = header.get("INSTRUME")
    compressed = header.get("ZIMAGE") is True
    rows, columns = (_whole(header, f"Z{k}" if compressed else k, 0) for k in ("NAXIS2", "NAXIS1"))
    if not isinstance(camera, str) or not camera or min(rows, columns) < 1:
        raise InvalidParams("the header does not say which camera took the frame (INSTRUME), or its size")
    temperature = _number(header, "SET-TEMP")
    lit = frame_type not in (FrameType.BIAS, FrameType.DARK)
    name = header.get("FILTER")
    return DetectorSetup(
        camera=camera,
        binning=(_whole(header, "XBINNING", 1), _whole(header, "YBINNING", 1)),
        origin=(_whole(header, "XORGSUBF", 0), _whole(header, "YORGSUBF", 0)),
        shape=(rows, columns),
        gain=_number(header, "GAIN"),
        temperature=_number(header, "CCD-TEMP") if temperature is None else temperature,
        filter=name if lit and isinstance(name, str) else None,
    )


def time_of(header: Header) -> datetime:
    """The start of exposure. Raises `InvalidParams` without DATE-OBS."""
    try:
        when = datetime.fromisoformat(str(header.get("DATE-OBS")))
    except ValueError:
        raise InvalidParams("the header has no time of exposure (DATE-OBS)") from None
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when


def combinable(a: DetectorSetup, b: DetectorSetup, tolerance: Celsius) -> bool:
    """Whether frames of two setups are of one kind."""
    return _fits(a, b, tolerance) and a.filter == b.filter


def choose(
    wanted: DetectorSetup,
    frame_type: FrameType,
    when: datetime,
    masters: Iterable[Master],
    *,
    tolerance: Celsius,
    max_age: Seconds,
) -> Master:
    """The master nearest in time among those that fit: camera, binning, window, gain, temperature, and filter of flats.

    Raises `CalibrationMissing` when none is within `max_age`, before or after.
    """

    def away(master: Master) -> float:
        return abs((master.frame.time - when).total_seconds())

    fitting = [
        master
        for master in masters
        if master.frame.frame_type is frame_type
        and _fits(wanted, master.setup, tolerance if frame_type is FrameType.DARK else None)
        and (frame_type is not FrameType.FLAT or master.setup.filter == wanted.filter)
        and away(master) <= max_age
    ]
    if not fitting:
        raise _missing(wanted, frame_type)
    # Made anew of more frames of the same night, the later one counts.
    return min(fitting, key=lambda master: (away(master), [-ord(letter) for letter in master.frame.image.id]))


def _missing(wanted: DetectorSetup, frame_type: FrameType) -> CalibrationMissing:
    asked = {name: getattr(wanted, name) for name in wanted.__struct_fields__ if getattr(wanted, name) is not None}
    if frame_type is not FrameType.FLAT:
        asked.pop("filter", None)
    words = ", ".join(f"{name} {value}" for name, value in asked.items())
    return CalibrationMissing(
        f"there is no master {frame_type.value} for {words}: take {frame_type.value} frames like that, or make masters",
        frame_type=frame_type.value,
        asked=asked,
    )


def _fits(a: DetectorSetup, b: DetectorSetup, tolerance: Celsius | None) -> bool:
    same = (a.camera, a.binning, a.origin, a.shape, a.gain) == (b.camera, b.binning, b.origin, b.shape, b.gain)
    if tolerance is None or a.temperature is None or b.temperature is None:
        return same
    return same and abs(a.temperature - b.temperature) <= tolerance


def _number(header: Header, keyword: str) -> float | None:
    value = header.get(keyword)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(header: Header, keyword: str, default: int) -> int:
    value = header.get(keyword)
    return value if isinstance(value, int) and not isinstance(value, bool) else default
