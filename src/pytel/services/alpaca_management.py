"""What an Alpaca server tells of itself and its devices (ASCOM Alpaca management API, version 1).

A server without that interface is asked for each kind of device in turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

from pytel.base.errors import ConnectionLost, DeviceError, DeviceTimeout, InvalidParams, MethodNotFound, PytelError
from pytel.base.units import Seconds
from pytel.services.alpaca_client import AlpacaClient

DeviceKind = Literal[
    "camera",
    "covercalibrator",
    "dome",
    "filterwheel",
    "focuser",
    "observingconditions",
    "rotator",
    "safetymonitor",
    "switch",
    "telescope",
]
"""The kinds of devices of the standard that pytel knows."""
KINDS = (*get_args(DeviceKind), "video")
"""All kinds of devices of the standard."""
MAX_DEVICES = 100
_MOST_OF_A_KIND = 8
_LONGEST_TEXT = 80
_KIND = re.compile(r"[a-z]{1,40}")
_LARGEST_NUMBER = 0xFFFFFFFF


class AlpacaDevice(NamedTuple):
    """A device of a server: `kind` is its type as in addresses, `number` counts within the type."""

    kind: str
    number: int
    name: str


class AlpacaServer(NamedTuple):
    """A server and what it has; `notes` are sentences about what was wrong with its answers."""

    address: str
    name: str
    devices: tuple[AlpacaDevice, ...]
    notes: tuple[str, ...] = ()


async def describe(address: str, within: Seconds) -> AlpacaServer:
    """Ask a server for what it has, each answer within so many real seconds.

    Raises `ConnectionLost`, `DeviceTimeout`, `DeviceError`, `ConfigError` for an address that is none.
    """
    management = _Management(address)
    await management.open()
    try:
        versions = await _optional(management.get("apiversions", within))
        if versions is None:
            return await _probed(address, within)
        if not isinstance(versions, list) or 1 not in versions:
            raise DeviceError(f"the Alpaca server {address} does not speak version 1 of the management interface")
        told = await _optional(management.get("v1/description", within))
        devices, notes = _read_devices(await management.get("v1/configureddevices", within))
        return AlpacaServer(address, _server_name(told), devices, notes)
    finally:
        await management.close()


class _Management(AlpacaClient):
    """The same manner of asking, at another address."""

    def __init__(self, address: str) -> None:
        super().__init__(address, "management", 0, "the Alpaca server")
        self._url = f"http://{address}/management/"


async def _optional(asked: Any) -> Any:
    """An answer; None from a server that has no such thing, or a page instead."""
    try:
        return await asked
    except (ConnectionLost, DeviceTimeout):
        raise
    except (MethodNotFound, InvalidParams, DeviceError):
        return None


def _server_name(told: Any) -> str:
    parts = [told.get(key) for key in ("ServerName", "ManufacturerVersion")] if isinstance(told, Mapping) else []
    return " ".join(cleaned(part) for part in parts if isinstance(part, str) and cleaned(part))


def _read_devices(told: Any) -> tuple[tuple[AlpacaDevice, ...], tuple[str, ...]]:
    if not isinstance(told, list):
        return (), ("its list of devices is none",)
    found: dict[tuple[str, int], AlpacaDevice] = {}
    wrong = 0
    for entry in told[:MAX_DEVICES]:
        device = _read_device(entry)
        if device is None or (device.kind, device.number) in found:
            wrong += 1
        else:
            found[device.kind, device.number] = device
    notes = []
    if wrong:
        notes.append(f"{wrong} entries of its list of devices make no sense and are left out")
    if len(told) > MAX_DEVICES:
        notes.append(f"it tells of {len(told)} devices; all after the first {MAX_DEVICES} are left out")
    return tuple(found.values()), tuple(notes)


def _read_device(entry: Any) -> AlpacaDevice | None:
    if not isinstance(entry, Mapping):
        return None
    name, kind, number = (entry.get(f"Device{key}") for key in ("Name", "Type", "Number"))
    if not isinstance(kind, str) or not _KIND.fullmatch(kind.lower()):
        return None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _LARGEST_NUMBER:
        return None
    return AlpacaDevice(kind.lower(), number, cleaned(name) if isinstance(name, str) else "")


async def _probed(address: str, within: Seconds) -> AlpacaServer:
    """What answers under the addresses of all kinds of devices."""
    found = await asyncio.gather(*(_probed_kind(address, kind, within) for kind in KINDS), return_exceptions=True)
    devices: list[AlpacaDevice] = []
    failures: list[BaseException] = []
    for some in found:
        if isinstance(some, BaseException):
            failures.append(some)
        else:
            devices += some
    for failure in failures:
        if not devices or not isinstance(failure, PytelError):
            raise failure
    if not devices:
        raise DeviceError(f"{address} has no Alpaca devices; is it the address of an Alpaca server?")
    note = "it has no management interface; its devices were found by asking for each kind"
    return AlpacaServer(address, "", tuple(devices), (note,))


async def _probed_kind(address: str, kind: str, within: Seconds) -> list[AlpacaDevice]:
    found: list[AlpacaDevice] = []
    for number in range(_MOST_OF_A_KIND):
        client = AlpacaClient(address, kind, number, "the Alpaca server")
        await client.open()
        try:
            name = await client.text("name", within)
        except (ConnectionLost, DeviceTimeout):
            if not found:
                raise
            break
        except PytelError:
            break
        finally:
            with contextlib.suppress(OSError):
                await client.close()
        found.append(AlpacaDevice(kind, number, cleaned(name)))
    return found


def cleaned(text: str) -> str:
    """What came from the network, as it may be shown: printable, on one line, not long."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text[:1000]).split())[:_LONGEST_TEXT]


__all__ = ["KINDS", "MAX_DEVICES", "AlpacaDevice", "AlpacaServer", "DeviceKind", "cleaned", "describe"]
