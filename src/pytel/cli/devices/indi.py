"""What an INDI server presents, by what its drivers say they are and by the properties they have."""

from __future__ import annotations

import asyncio
import re
import time

from pytel.base.errors import ConnectionLost, DeviceError
from pytel.base.threads import in_thread
from pytel.base.units import Seconds
from pytel.cli.devices.found import FoundDevice, FoundServer, Setting, driven, indi_type
from pytel.devices.indi.client import IndiClient
from pytel.devices.indi.properties import Vector
from pytel.devices.indi.transport import DEFAULT_PORT
from pytel.services.alpaca_management import cleaned

_BITS = (
    "telescope",
    "camera",
    "guide port",
    "focuser",
    "filter wheel",
    "dome",
    "time",
    "weather",
    "adaptive optics",
    "cover",
    "cover",
    "detector",
    "rotator",
    "spectrograph",
    "correlator",
    "",
    "output",
    "input",
    "power",
    "motion sensor",
)
"""The bits of DRIVER_INTERFACE, lowest first (libindi, basedevice.h)."""
_MARKS = {
    "EQUATORIAL_EOD_COORD": "telescope",
    "CCD_EXPOSURE": "camera",
    "TELESCOPE_TIMED_GUIDE_NS": "guide port",
    "ABS_FOCUS_POSITION": "focuser",
    "FILTER_SLOT": "filter wheel",
    "DOME_MOTION": "dome",
    "DOME_SHUTTER": "dome",
    "GPS_REFRESH": "time",
    "WEATHER_STATUS": "weather",
    "CAP_PARK": "cover",
    "FLAT_LIGHT_CONTROL": "cover",
    "ABS_ROTATOR_ANGLE": "rotator",
}
"""Properties by which a device is known that does not say what it is."""
_BITS_TEXT = re.compile(r"\d{1,9}")
_ROOF = re.compile(r"roll|roof", re.IGNORECASE)
_QUIET: Seconds = 0.7
"""After so long without anything new a server has told all it has."""
_STEP: Seconds = 0.1


async def scan_indi(address: str, wait: Seconds) -> FoundServer:
    """Hear for `wait` real seconds at most what a server presents; nothing is set or switched on.

    Raises `ConnectionLost`, `ConfigError` for an address that is none.
    """
    client = IndiClient(address)
    await client.start()
    try:
        ends = time.monotonic() + wait
        try:
            async with asyncio.timeout(wait):
                await client.until_connected(wait)
        except TimeoutError:
            raise ConnectionLost(f"{address} does not answer within {wait:g} s") from None
        await _until_all_told(client, ends)
        return await in_thread(_present, client, address)
    finally:
        await client.stop()


async def _until_all_told(client: IndiClient, ends: float) -> None:
    told, since = -1, time.monotonic()
    while (now := time.monotonic()) < ends and client.connected:
        count = sum(1 + len(client.vectors(device)) for device in client.devices())
        if count != told:
            told, since = count, now
        elif now - since >= _QUIET and count:
            return
        await asyncio.sleep(_STEP)


def _present(client: IndiClient, address: str) -> FoundServer:
    """Blocking: the classes of drivers are imported."""
    devices: list[FoundDevice] = []
    notes: list[str] = []
    for name in client.devices():
        if cleaned(name) != name:
            notes.append(f"a device is called {cleaned(name)!r} and more than can be written; it is left out")
            continue
        devices += _as_devices(client, address, name)
    if not devices:
        notes.append("it presents no devices; does a driver run there?")
    return FoundServer(protocol="indi", address=address, name="indiserver", notes=tuple(notes), devices=tuple(devices))


def _as_devices(client: IndiClient, address: str, name: str) -> list[FoundDevice]:
    return [_device(address, name, kind, note) for kind, note in _kinds(client, name)]


def _device(address: str, name: str, kind: str, note: str) -> FoundDevice:
    settings: dict[str, Setting] = {"server": address, "device": name}
    found = FoundDevice(
        protocol="indi",
        server=address,
        name=name,
        kind=kind,
        type=indi_type(kind),
        settings=settings,
        note=note,
    )
    return driven(found)


def _kinds(client: IndiClient, name: str) -> list[tuple[str, str]]:
    """What a device is, with a note to each."""
    vectors = client.vectors(name)
    bits = _driver_interface(vectors.get("DRIVER_INFO"))
    kinds = [kind for number, kind in enumerate(_BITS) if bits >> number & 1 and kind]
    if not kinds:
        kinds = [kind for mark, kind in _MARKS.items() if mark in vectors]
    found: list[tuple[str, str]] = []
    for kind in dict.fromkeys(kinds):
        found.append(_dome_or_roof(name, "DOME_SHUTTER" in vectors) if kind == "dome" else (kind, ""))
    return found or [("unknown", "it does not say what it is")]


def _dome_or_roof(name: str, has_shutter: bool) -> tuple[str, str]:
    """INDI calls both a dome; before it is connected only the name tells."""
    if has_shutter or not _ROOF.search(name):
        return ("dome", "" if has_shutter else "taken for a dome; type: indi-roof if it is a roof that rolls off")
    return ("roof", "taken for a roof by its name; type: indi-dome if it is a dome")


def _driver_interface(info: Vector | None) -> int:
    """The bits; 0 for what is none."""
    if info is None:
        return 0
    try:
        text = info.text("DRIVER_INTERFACE").strip()
    except DeviceError:
        return 0
    return int(text) if _BITS_TEXT.fullmatch(text) else 0


def server_address(host: str) -> str:
    """As the site file has it, with its port."""
    return host if ":" in host or host.startswith(("/", "@")) else f"{host}:{DEFAULT_PORT}"


__all__ = ["scan_indi", "server_address"]
