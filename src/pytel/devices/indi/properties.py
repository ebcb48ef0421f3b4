"""What an INDI device tells of itself: vectors (properties) of members, as they were when the last message came."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from pytel.base.errors import DeviceError


class Kind(StrEnum):
    """What the members of a vector are."""

    NUMBER = "number"
    SWITCH = "switch"
    TEXT = "text"
    LIGHT = "light"
    BLOB = "blob"


class PropertyState(StrEnum):
    """How a vector stands; the value of a light as well."""

    IDLE = "idle"
    OK = "ok"
    BUSY = "busy"
    ALERT = "alert"


class Permission(StrEnum):
    """What a client may do with a vector."""

    READ_ONLY = "ro"
    WRITE_ONLY = "wo"
    READ_WRITE = "rw"


class Rule(StrEnum):
    """How many switches of a vector may be on."""

    ONE_OF_MANY = "one of many"
    AT_MOST_ONE = "at most one"
    ANY_OF_MANY = "any of many"


Value = float | bool | str | None
"""A number, a switch, a text or light (as text); None: a BLOB, or what the device told is no such value."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a vector; limits are those of a number (equal limits: none are told)."""

    name: str
    label: str = ""
    value: Value = None
    raw: str = ""
    """What the device said, when `value` is None."""
    minimum: float = 0.0
    maximum: float = 0.0
    step: float = 0.0
    format: str = ""


class Members(dict[str, Member]):
    """The members of a vector by name. To ask for one that is not there raises `DeviceError`, not `KeyError`."""

    def __init__(self, device: str, vector: str, members: Mapping[str, Member]) -> None:
        super().__init__(members)
        self._device, self._vector = device, vector

    def __missing__(self, name: str) -> Member:
        known = ", ".join(self) or "nothing"
        raise DeviceError(
            f"{self._device}: {self._vector}.{name} is not there, only {known}; look at its INDI driver",
            device=self._device,
        )


class Vector(msgspec.Struct, frozen=True, kw_only=True):
    """A property as the device last told it: a snapshot, which never changes.

    The reading methods raise `DeviceError`, which names the member, when it is not there or no such value (NaN, for
    one).
    """

    device: str
    name: str
    kind: Kind
    state: PropertyState
    permission: Permission = Permission.READ_ONLY
    rule: Rule | None = None
    timeout: float = 0.0
    """Seconds the device asks to be given; 0: it does not tell."""
    label: str = ""
    group: str = ""
    members: Members
    received: float = 0.0
    """Site time (Unix seconds) when the last message about it came."""
    updated: float | None = None
    """Site time when its values were last set; None: the device has only defined it, with values of any age."""
    count: int = 0
    """Number of messages about it since it appeared: it grows with each."""

    def number(self, name: str) -> float:
        """A number, finite. Raises `DeviceError`."""
        value = self.members[name].value
        if isinstance(value, bool) or not isinstance(value, float) or not math.isfinite(value):
            raise self._wrong(name, "no finite number")
        return value

    def on(self, name: str) -> bool:
        """Whether a switch is on. Raises `DeviceError`."""
        value = self.members[name].value
        if not isinstance(value, bool):
            raise self._wrong(name, "neither on nor off")
        return value

    def text(self, name: str) -> str:
        """A text, or the state of a light. Raises `DeviceError`."""
        value = self.members[name].value
        if not isinstance(value, str):
            raise self._wrong(name, "no text")
        return value

    def members_on(self, *names: str) -> bool:
        """Whether all these switches are there and on; never raises."""
        return all(name in self.members and self.members[name].value is True for name in names)

    def chosen(self) -> str | None:
        """The first switch that is on, None when there is none."""
        return next((name for name, member in self.members.items() if member.value is True), None)

    def has(self, name: str) -> bool:
        """Whether there is such a member."""
        return name in self.members

    def _wrong(self, name: str, what: str) -> DeviceError:
        raw = self.members[name].raw
        told = f" ({raw!r})" if raw else ""
        return DeviceError(
            f"{self.device}: {self.name}.{name} is {what}{told}; look at its INDI driver", device=self.device
        )


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What a device (or the server: an empty name) said in words; `received` is site time."""

    device: str
    text: str
    received: float


__all__ = ["Kind", "Member", "Members", "Message", "Permission", "PropertyState", "Rule", "Value", "Vector"]
