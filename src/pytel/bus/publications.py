"""States and events as JSON, the same for every client: topic, publisher, seq, boot, time, data."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from pytel.base.errors import InvalidRequest, PytelError
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, Publication, Topic


class _Told(msgspec.Struct, frozen=True):
    topic: str
    publisher: str
    seq: int
    boot: str
    time: datetime
    data: Builtin


def told(publication: Publication) -> dict[str, Builtin]:
    """Render a state or event for the wire."""
    return {
        "topic": str(publication.topic),
        "publisher": str(publication.publisher),
        "seq": publication.seq,
        "boot": publication.boot,
        "time": iso_time(publication.time),
        "data": publication.data,
    }


def heard(message: Builtin) -> Publication:
    """Read what `told` wrote. Raises `InvalidRequest`."""
    try:
        read = msgspec.convert(message, _Told)
        if read.time.tzinfo is None:
            raise ValueError("the time has no zone")
        return Publication(
            publisher=Address.parse(read.publisher),
            topic=Topic.parse(read.topic),
            seq=read.seq,
            boot=read.boot,
            time=read.time.timestamp(),
            data=read.data,
        )
    except (msgspec.ValidationError, ValueError, OverflowError, PytelError) as error:
        raise InvalidRequest(f"this is no state or event: {error}") from error


def iso_time(time: float) -> str:
    """Write Unix seconds as UTC with microseconds."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
