"""What an Alpaca server presents."""

from __future__ import annotations

from pytel.base.threads import in_thread
from pytel.base.units import Seconds
from pytel.cli.devices.found import FoundDevice, FoundServer, Setting, alpaca_types, driven
from pytel.services.alpaca_management import AlpacaDevice, AlpacaServer, describe

_DEFAULT_PORT = 11111
_WORDS = {
    "covercalibrator": "cover",
    "filterwheel": "filter wheel",
    "observingconditions": "weather",
    "safetymonitor": "safety monitor",
}


async def scan_alpaca(address: str, wait: Seconds) -> FoundServer:
    """Ask a server what it has. Raises as `pytel.services.alpaca_management.describe` does."""
    return await in_thread(_present, await describe(address, wait))


def _present(server: AlpacaServer) -> FoundServer:
    """Blocking: the classes of drivers are imported."""
    devices = tuple(_device(server.address, device) for device in server.devices)
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


def server_address(host: str) -> str:
    """As the site file has it, with its port."""
    return host if ":" in host else f"{host}:{_DEFAULT_PORT}"


__all__ = ["scan_alpaca", "server_address"]
