"""What is known of the demonstration right now, from all that its modules publish. Displays read it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pytel.bus.contract import Publication
from pytel.cli.screen import clock_time

KEPT_IMAGES = 20
KEPT_LINES = 60


class Line(NamedTuple):
    """Something that happened, in words. `level` is info, good, warning or error."""

    time: datetime
    text: str
    level: str = "info"


class NightView:
    """The last states by name, the last images, and the story so far."""

    def __init__(self) -> None:
        self.states: dict[str, Mapping[str, Any]] = {}
        self.modules: dict[str, str] = {}
        self.images: deque[Mapping[str, Any]] = deque(maxlen=KEPT_IMAGES)
        self.frames: dict[str, int] = {}
        self.lines: deque[Line] = deque(maxlen=KEPT_LINES)
        self.listeners: list[Callable[[Line], None]] = []
        self.ended: Callable[[Mapping[str, Any]], None] | None = None

    def state(self, name: str) -> Mapping[str, Any]:
        """The last state of an interface, empty when there is none."""
        return self.states.get(name, {})

    def hear(self, publication: Publication) -> None:
        """Take in what a module published."""
        data = publication.data if isinstance(publication.data, dict) else {}
        name = publication.topic.name
        if publication.topic.kind == "state":
            before = self.states.get(name, {})
            if name == "Module":
                self.modules[str(publication.publisher)] = str(data.get("status"))
            else:
                self.states[name] = data
            said = _state_line(name, before, data)
        else:
            said = self._event_line(name, data, str(publication.publisher))
        if said is not None:
            self.say(*said, time=publication.time)

    def say(self, text: str, level: str = "info", time: float | None = None) -> None:
        """Add a line to the story."""
        from pytel.base import clock

        when = datetime.fromtimestamp(clock.time() if time is None else time, UTC)
        line = Line(when, text, level)
        if self.lines and self.lines[-1][1:] == line[1:]:
            return
        self.lines.append(line)
        for listener in self.listeners:
            listener(line)

    def _event_line(self, name: str, data: Mapping[str, Any], publisher: str) -> tuple[str, str] | None:
        if name == "NewImage":
            kind = str(data["frame_type"])
            self.frames[kind] = self.frames.get(kind, 0) + 1
            if kind == "object":
                self.images.append(data)
            return None
        if name == "NightEnded" and self.ended is not None:
            self.ended(data)
        if name == "ErrorRaised":
            error = data["error"]
            return f"{publisher}: {error['message']}", "error"
        words = _EVENTS.get(name)
        return words(data) if words else None


def _reasons(data: Mapping[str, Any]) -> str:
    return "; ".join(data.get("reasons") or ()) or "no reason given"


def _safety(data: Mapping[str, Any]) -> tuple[str, str]:
    return ("It is safe to be open.", "good") if data["safe"] else (f"Unsafe: {_reasons(data)}.", "warning")


def _focus(data: Mapping[str, Any]) -> tuple[str, str]:
    result = data["result"]
    return f"Focus found at {result['position']:.3f} mm, stars of {result['hfd']:.1f} px.", "good"


_EVENTS: dict[str, Callable[[Mapping[str, Any]], tuple[str, str]]] = {
    "SafetyChanged": _safety,
    "FocusFound": _focus,
    "EnclosureClosing": lambda data: (f"The roof closes: {_reasons(data)}.", "warning"),
    "Notified": lambda data: (
        f"To people: {data['subject']}. {data['message']}",
        "error" if data["urgency"] == "call" else "info",
    ),
    "NightEnded": lambda data: (f"The night of {data['night']} is over: {data['frames']} frames.", "good"),
}


def _state_line(name: str, before: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[str, str] | None:
    if name == "Observer":
        return _observer_line(before, data)
    if name == "Gateway" and data["url"] and before.get("url") != data["url"]:
        return f"HTTP for browsers and scripts is at {data['url']}; 'pytel account add NAME' lets somebody in.", "info"
    if name == "Enclosure" and before.get("status") != data["status"] and data["status"] in ("open", "closed"):
        return (f"The roof is {data['status']}.", "info") if before else None
    return None


def _observer_line(before: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[str, str] | None:
    # One line per target, not one per frame.
    what = ["status", "task_name"] + (["message"] if data["status"] != "exposing" else [])
    if all(before.get(key) == data.get(key) for key in what):
        return None
    return observer_words(data), "info"


def observer_words(data: Mapping[str, Any]) -> str:
    """What the observer does, as a sentence."""
    if not data:
        return "The observer is not there."
    status, task = str(data["status"]), data.get("task_name")
    text = status[0].upper() + status[1:]
    if task and status in ("acquiring", "exposing", "focusing"):
        text += f" {task}" if status != "focusing" else f" before {task}"
    if data.get("until") and status.startswith("waiting"):
        text += f" until {clock_time(data['until'])[:5]}"
    if data.get("message"):
        text += f": {str(data['message']).removeprefix('unsafe: ')}"
    return text if text.endswith(".") else f"{text}."
