"""What a check found."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from pytel.base.units import Seconds


class Verdict(StrEnum):
    """How a step ended."""

    OK = "ok"
    DEVIATION = "deviation"
    NOT_TRIED = "not tried"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One step: what was looked at, how it ended, how long it took (real seconds), and a sentence about it."""

    interface: str
    what: str
    verdict: Verdict
    seconds: Seconds
    detail: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of one module."""

    module: str
    type: str
    interfaces: tuple[str, ...]
    capabilities: dict[str, Any]
    findings: tuple[Finding, ...]

    @property
    def deviations(self) -> int:
        """How many steps did not end as they must."""
        return sum(finding.verdict is Verdict.DEVIATION for finding in self.findings)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What may be moved beyond a few steps: covers and parked telescopes with `move`, roofs with `open_roof`."""

    move: bool = False
    open_roof: bool = False


class Deviation(Exception):
    """It did not do what its interface promises; the message is a sentence."""


class NotTried(Exception):
    """It was left alone; the message says why."""


__all__ = ["Deviation", "Finding", "NotTried", "Options", "Report", "Verdict"]
