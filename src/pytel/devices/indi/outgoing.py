"""What a client asks of a device, checked against what the device said it takes."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pytel.base.errors import InvalidParams, LimitExceeded, NotAllowed
from pytel.devices.indi.inventory import NAMES
from pytel.devices.indi.properties import Kind, Member, Permission, Rule, Vector
from pytel.devices.indi.protocol import new_vector

Values = Mapping[str, float | bool | str]


def request(vector: Vector, values: Values) -> bytes:
    """The message that asks for other values.

    Raises `InvalidParams` for a member that is not there or a value of another type, `LimitExceeded`, `NotAllowed` for
    what is read-only.
    """
    where = f"{vector.device}: {vector.name}"
    if vector.permission is Permission.READ_ONLY or vector.kind in (Kind.LIGHT, Kind.BLOB):
        raise NotAllowed(f"{where} can only be read", device=vector.device)
    if not values:
        raise InvalidParams(f"nothing is asked of {where}: give values", device=vector.device)
    texts = {name: _text(vector, _member(vector, name), value) for name, value in values.items()}
    if vector.kind is Kind.SWITCH:
        texts = _switches(vector, texts)
    return new_vector(NAMES[vector.kind], vector.device, vector.name, texts)


def _member(vector: Vector, name: str) -> Member:
    if name not in vector.members:
        known = ", ".join(sorted(vector.members)) or "nothing"
        raise InvalidParams(f"{vector.device}: {vector.name} has {known}, no {name!r}", device=vector.device)
    return vector.members[name]


def _text(vector: Vector, member: Member, value: float | bool | str) -> str:
    where = f"{vector.device}: {vector.name}.{member.name}"
    if vector.kind is Kind.SWITCH:
        if not isinstance(value, bool):
            raise InvalidParams(f"{where} is a switch: give true or false, not {value!r}", device=vector.device)
        return "On" if value else "Off"
    if vector.kind is Kind.TEXT:
        if not isinstance(value, str):
            raise InvalidParams(f"{where} is a text, not {value!r}", device=vector.device)
        return value
    if isinstance(value, bool | str) or not math.isfinite(value):
        raise InvalidParams(f"{where} is a number, not {value!r}", device=vector.device)
    if member.minimum < member.maximum and not member.minimum <= value <= member.maximum:
        raise LimitExceeded(
            f"{where} goes from {member.minimum:g} to {member.maximum:g}, not to {value:g}", device=vector.device
        )
    return repr(float(value))


def _switches(vector: Vector, texts: dict[str, str]) -> dict[str, str]:
    """Of switches of which one may be on, the others are switched off."""
    wanted = [name for name, text in texts.items() if text == "On"]
    if vector.rule is Rule.ANY_OF_MANY or vector.rule is None:
        return texts
    if len(wanted) > 1:
        raise InvalidParams(
            f"of {vector.device}: {vector.name} only one may be on, not {' and '.join(wanted)}", device=vector.device
        )
    if not wanted and vector.rule is Rule.ONE_OF_MANY:
        raise InvalidParams(
            f"of {vector.device}: {vector.name} one must be on: say which of {', '.join(vector.members)}",
            device=vector.device,
        )
    return dict.fromkeys(vector.members, "Off") | texts if wanted else texts
