"""Why the robot may not work just now."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from pytel.base import clock
from pytel.base.errors import PytelError
from pytel.interfaces.control import Control, ControlState
from pytel.interfaces.safety import SafetyMonitorState
from pytel.services import Module


class Kind(Enum):
    """What stands in the way, the most urgent first."""

    UNSAFE = "unsafe"
    PAUSED = "paused"
    CONTROL = "control"


class Hindrance(NamedTuple):
    """What stands in the way, with the reason as it is shown and recorded."""

    kind: Kind
    reason: str


def safety_verdict(module: Module) -> tuple[bool, tuple[str, ...]]:
    """Safe or not now, with reasons: every safety monitor in sight must agree, and there must be one."""
    try:
        states = module.latest_all(SafetyMonitorState)
    except PytelError as error:
        return False, (f"a safety monitor cannot be understood: {error.message}",)
    verdicts = [state.verdict(clock.now()) for state in states.values()]
    if not verdicts:
        return False, ("no safety monitor speaks",)
    return all(safe for safe, _ in verdicts), tuple(reason for _, reasons in verdicts for reason in reasons)


def next_expiry(module: Module) -> float:
    """When the next verdict that holds now ends (Unix seconds)."""
    try:
        ends = [state.expires.timestamp() for state in module.latest_all(SafetyMonitorState).values()]
    except PytelError:
        ends = []
    return min((end for end in ends if end >= clock.time()), default=clock.time() + 60.0)


def find_hindrance(module: Module, paused: str | None) -> Hindrance | None:
    """What stands in the way now, None when nothing does."""
    safe, reasons = safety_verdict(module)
    if not safe:
        return Hindrance(Kind.UNSAFE, "unsafe: " + "; ".join(reasons))
    if paused is not None:
        return Hindrance(Kind.PAUSED, f"paused: {paused}" if paused else "paused")
    holder = foreign_holder(module)
    return None if holder is None else Hindrance(Kind.CONTROL, f"{holder} has control")


def foreign_holder(module: Module) -> str | None:
    """Who else holds the control lease."""
    state = module.latest(ControlState) if module.has(Control) else None
    if state is None or state.holder in (None, str(module.address)):
        return None
    if state.until is not None and state.until.timestamp() < clock.real_time():
        return None
    return state.holder
