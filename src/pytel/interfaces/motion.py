"""What simple moving devices have in common."""

from __future__ import annotations

from enum import StrEnum


class MotionStatus(StrEnum):
    """What a focuser, filter wheel or rotator does."""

    IDLE = "idle"
    MOVING = "moving"
    ERROR = "error"
