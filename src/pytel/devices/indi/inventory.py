"""The devices of a server as its messages tell them, bounded in number."""

from __future__ import annotations

import logging
import math
import re
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from pytel.devices.indi.properties import Kind, Member, Members, Message, Permission, PropertyState, Rule, Value, Vector
from pytel.devices.indi.protocol import Attributes, Child, Element

MAX_DEVICES = 256
MAX_VECTORS = 2000
_WORDS_KEPT = 20
_LONGEST_WORDS = 300
_KINDS = {
    "Number": Kind.NUMBER,
    "Switch": Kind.SWITCH,
    "Text": Kind.TEXT,
    "Light": Kind.LIGHT,
    "BLOB": Kind.BLOB,
}
NAMES = {kind: name for name, kind in _KINDS.items()}
"""How the tags of a kind of vector call it."""
_STATES = {"Idle": PropertyState.IDLE, "Ok": PropertyState.OK, "Busy": PropertyState.BUSY, "Alert": PropertyState.ALERT}
_RULES = {"OneOfMany": Rule.ONE_OF_MANY, "AtMostOne": Rule.AT_MOST_ONE, "AnyOfMany": Rule.ANY_OF_MANY}
_DEF = re.compile(r"(def|set)(Number|Switch|Text|Light|BLOB)Vector")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?")
_SEXAGESIMAL = re.compile(r"([+-]?)(\d+(?:\.\d*)?)(?:[:; ]+(\d+(?:\.\d*)?))(?:[:; ]+(\d+(?:\.\d*)?))?")


class Changed(NamedTuple):
    """A message was about this vector, which looks so; `words` came with it."""

    vector: Vector
    words: str
    appeared: bool
    """The device was not there before."""


class Gone(NamedTuple):
    """The server took properties back; `whole`: the device with all it had."""

    device: str
    names: tuple[str, ...]
    whole: bool


class Inventory:
    """Vectors of devices; `apply` each message to it."""

    def __init__(self, server: str, log: logging.Logger) -> None:
        self._server, self._log = server, log
        self._devices: dict[str, dict[str, Vector]] = {}
        self._words: dict[str, deque[Message]] = {}
        self._complained: set[str] = set()

    def devices(self) -> tuple[str, ...]:
        """The names of the devices, sorted."""
        return tuple(sorted(self._devices))

    def vectors(self, device: str) -> Mapping[str, Vector]:
        """The vectors of a device."""
        return MappingProxyType(self._devices.get(device, {}))

    def messages(self, device: str) -> tuple[Message, ...]:
        """What a device said, oldest first."""
        return tuple(self._words.get(device, ()))

    def clear(self) -> None:
        """Forget the devices; what they said is kept."""
        self._devices.clear()

    def apply(self, element: Element, now: float) -> Changed | Gone | None:
        """Take in a message that came at `now` (site time)."""
        attributes = element.attributes
        device = attributes.get("device", "")
        words = self._note(device, attributes.get("message", ""), now)
        if element.tag == "delProperty":
            return self._remove(device, attributes.get("name"))
        parts = _DEF.fullmatch(element.tag)
        name = attributes.get("name", "")
        if parts is None or not device or not name:
            return None
        kind = _KINDS[parts[2]]
        if parts[1] == "def":
            return self._define(_defined(element, kind, now), words)
        known = self._devices.get(device, {}).get(name)
        if known is None or known.kind is not kind:
            if known is not None:
                self._complain(device, f"{device}: {name} is a {known.kind}, and {self._server} sets it as a {kind}")
            return None
        vector = _updated(known, element, now)
        self._devices[device][name] = vector
        return Changed(vector, words, False)

    def _define(self, vector: Vector, words: str) -> Changed | None:
        device, name = vector.device, vector.name
        there = self._devices.get(device)
        if (there is None and len(self._devices) >= MAX_DEVICES) or len(there or ()) >= MAX_VECTORS:
            self._complain(
                "", f"{self._server} tells of more devices or properties than anybody has; they are left out"
            )
            return None
        vectors = self._devices.setdefault(device, {})
        if name in vectors:
            # Any client may have everything defined once more, whose values are as old as they were.
            before = vectors[name]
            vector = msgspec.structs.replace(vector, count=before.count + 1, updated=before.updated)
        vectors[name] = vector
        return Changed(vector, words, there is None)

    def _remove(self, device: str, name: str | None) -> Gone | None:
        vectors = self._devices.get(device)
        if vectors is None:
            return None
        names = tuple(vectors) if name is None else (name,) if name in vectors else ()
        for each in names:
            del vectors[each]
        if not vectors:
            del self._devices[device]
        return Gone(device, names, not vectors)

    def _note(self, device: str, words: str, now: float) -> str:
        words = one_line(words)
        if words and (device in self._words or len(self._words) < MAX_DEVICES):
            kept = self._words.setdefault(device, deque(maxlen=_WORDS_KEPT))
            kept.append(Message(device=device, text=words, received=now))
            self._log.debug("%s, %s: %s", self._server, device or "the server", words)
        return words

    def _complain(self, about: str, sentence: str) -> None:
        """Log it once."""
        if about not in self._complained and len(self._complained) < MAX_DEVICES:
            self._complained.add(about)
            self._log.warning("%s", one_line(sentence))


def _defined(element: Element, kind: Kind, now: float) -> Vector:
    given = element.attributes
    members = [_defined_member(child, kind) for child in element.children if child.tag == f"def{NAMES[kind]}"]
    return Vector(
        device=given["device"],
        name=given["name"],
        kind=kind,
        state=_STATES.get(given.get("state", ""), PropertyState.IDLE),
        permission=_permission(given, kind),
        rule=_RULES.get(given.get("rule", "")) if kind is Kind.SWITCH else None,
        timeout=max(0.0, parse_number(given.get("timeout", "0")) or 0.0),
        label=given.get("label", ""),
        group=given.get("group", ""),
        members=Members(given["device"], given["name"], {member.name: member for member in members}),
        received=now,
    )


def _permission(given: Attributes, kind: Kind) -> Permission:
    if kind is Kind.LIGHT:
        return Permission.READ_ONLY
    return {"wo": Permission.WRITE_ONLY, "rw": Permission.READ_WRITE}.get(given.get("perm", ""), Permission.READ_ONLY)


def _defined_member(child: Child, kind: Kind) -> Member:
    given = child.attributes
    value = parse_value(child.text, kind)
    return Member(
        name=given.get("name", ""),
        label=given.get("label", ""),
        value=value,
        raw=one_line(child.text) if value is None else "",
        minimum=parse_number(given.get("min", "0")) or 0.0,
        maximum=parse_number(given.get("max", "0")) or 0.0,
        step=parse_number(given.get("step", "0")) or 0.0,
        format=given.get("format", ""),
    )


def _updated(known: Vector, element: Element, now: float) -> Vector:
    members = Members(known.device, known.name, known.members)
    for child in element.children:
        name = child.attributes.get("name", "")
        if child.tag == f"one{NAMES[known.kind]}" and name in members:
            value = parse_value(child.text, known.kind)
            raw = one_line(child.text) if value is None else ""
            members[name] = msgspec.structs.replace(members[name], value=value, raw=raw)
    return msgspec.structs.replace(
        known,
        members=members,
        state=_STATES.get(element.attributes.get("state", ""), known.state),
        received=now,
        updated=now,
        count=known.count + 1,
    )


def parse_value(text: str, kind: Kind) -> Value:
    """The value of a member; None for what is none."""
    if kind is Kind.NUMBER:
        return parse_number(text)
    if kind is Kind.SWITCH:
        return {"On": True, "Off": False}.get(text)
    if kind is Kind.LIGHT:
        state = _STATES.get(text)
        return None if state is None else state.value
    return None if kind is Kind.BLOB else text


def parse_number(text: str) -> float | None:
    """A finite number, plain or sexagesimal (`-0:30:15`, `12 5.5`); None for anything else, NaN included."""
    text = text.strip()[:100]
    if _NUMBER.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else None
    parts = _SEXAGESIMAL.fullmatch(text)
    if parts is None:
        return None
    whole = float(parts[2]) + float(parts[3]) / 60 + float(parts[4] or 0) / 3600
    return -whole if parts[1] == "-" else whole


def one_line(text: str) -> str:
    """What a device says, fit for a log."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text[:_LONGEST_WORDS])
    return " ".join(printable.split())


__all__ = ["NAMES", "Changed", "Gone", "Inventory", "one_line", "parse_number", "parse_value"]
