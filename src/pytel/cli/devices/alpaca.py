"""What an Alpaca server presents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pytel.base.errors import PytelError
from pytel.base.threads import in_thread
from pytel.base.units import Seconds
from pytel.cli.devices.found import FoundDevice, FoundServer, Setting, alpaca_types, driven
from pytel.module.registry import registered_types
from pytel.services.alpaca_client import AlpacaClient
from pytel.services.alpaca_management import AlpacaDevice, AlpacaServer, describe

_DEFAULT_PORT = 11111
_GUIDE_PORT = "alpaca-guide-port"
_GUIDING = ("telescope", "camera")
_MOST_GUIDING = 16
_WORDS = {
    "covercalibrator": "cover",
    "filterwheel": "filter wheel",
    "observingconditions": "weather",
    "safetymonitor": "safety monitor",
}


async def scan_alpaca(address: str, wait: Seconds) -> FoundServer:
    """Ask a server what it has. Raises as `pytel.services.alpaca_management.describe` does."""
    server = await describe(address, wait)
    guiding = [device for device in server.devices if device.kind in _GUIDING][:_MOST_GUIDING]
    takes_pulses = await asyncio.gather(*(_takes_pulses(address, device, wait) for device in guiding))
    ports = [device for device, takes in zip(guiding, takes_pulses, strict=True) if takes]
    return await in_thread(_present, server, ports)


async def _takes_pulses(address: str, device: AlpacaDevice, wait: Seconds) -> bool:
    """Whether a mount or camera is a guide port besides; many tell only once they are connected."""
    client = AlpacaClient(address, device.kind, device.number, "the Alpaca server")
    await client.open()
    try:
        return await client.flag("canpulseguide", wait)
    except PytelError:
        return False
    finally:
        await client.close()


def _present(server: AlpacaServer, ports: Sequence[AlpacaDevice]) -> FoundServer:
    """Blocking: the classes of drivers are imported."""
    devices = (
        *(_device(server.address, device) for device in server.devices),
        *(_guide_port(server.address, device) for device in ports),
    )
    notes = server.notes if devices else (*server.notes, "it presents no devices")
    return FoundServer(
        protocol="alpaca", address=server.address, name=server.name or "Alpaca server", notes=notes, devices=devices
    )


def _device(address: str, device: AlpacaDevice) -> FoundDevice:
    settings: dict[str, Setting] = {"server": address, "number": device.number}
    found = FoundDevice(
        protocol="alpaca",
        server=address,
        name=device.name or f"{device.kind} {device.number}",
        kind=_WORDS.get(device.kind, device.kind),
        type=alpaca_types().get(device.kind),
        settings=settings,
    )
    return driven(found)


def _guide_port(address: str, device: AlpacaDevice) -> FoundDevice:
    found = FoundDevice(
        protocol="alpaca",
        server=address,
        name=device.name or f"{device.kind} {device.number}",
        kind="guide port",
        type=_GUIDE_PORT if _GUIDE_PORT in registered_types() else None,
        settings={"server": address, "number": device.number, "device": device.kind},
    )
    return driven(found)


def server_address(host: str) -> str:
    """As the site file has it, with its port."""
    return host if ":" in host else f"{host}:{_DEFAULT_PORT}"


__all__ = ["scan_alpaca", "server_address"]
