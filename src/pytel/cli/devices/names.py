"""What the modules of found devices are called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import msgspec

from pytel.cli.devices.found import Findings, FoundDevice

_NAMES = {
    "filter wheel": "filters",
    "guide port": "guideport",
    "safety monitor": "safety",
    "time": "gps",
}
_TAKEN = ("control", "notifier", "store", "site", "cli", "rpc", "events")
_NO_LETTERS = re.compile(r"[^a-z0-9]+")


def named(findings: Findings) -> Findings:
    """Give each device that has a driver a name of its own: camera, camera2 …"""
    fresh = _Names()
    servers = tuple(
        msgspec.structs.replace(server, devices=tuple(fresh.given(server.devices))) for server in findings.servers
    )
    return msgspec.structs.replace(findings, servers=servers)


class _Names:
    def __init__(self) -> None:
        self._taken = set(_TAKEN)

    def given(self, devices: Iterable[FoundDevice]) -> Iterator[FoundDevice]:
        for device in devices:
            yield msgspec.structs.replace(device, module=self._next(device)) if device.type else device

    def _next(self, device: FoundDevice) -> str:
        word = _NAMES.get(device.kind) or _NO_LETTERS.sub("", device.kind.lower()) or "device"
        stem = (word if word[0].isalpha() else f"device{word}")[:50]
        number, name = 1, stem
        while name in self._taken:
            number += 1
            name = f"{stem}{number}"
        self._taken.add(name)
        return name


__all__ = ["named"]
