"""The world itself: all devices, the sky above them, and the one door through which they are reached."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytel.base import clock
from pytel.base.errors import MethodNotFound
from pytel.base.location import Location
from pytel.devices.simulated.world import faults, state
from pytel.devices.simulated.world.camera import Camera
from pytel.devices.simulated.world.climate import Climate
from pytel.devices.simulated.world.config import WorldConfig
from pytel.devices.simulated.world.device import Device, Site, command
from pytel.devices.simulated.world.focuser import FilterWheel, Focuser
from pytel.devices.simulated.world.mount import Mount
from pytel.devices.simulated.world.optics import Optics
from pytel.devices.simulated.world.render import Frame, Renderer
from pytel.devices.simulated.world.roof import Cover, Roof
from pytel.devices.simulated.world.skyglow import SkyGlow
from pytel.devices.simulated.world.state import Exposure, Fault, WorldState
from pytel.devices.simulated.world.truth import Truth
from pytel.devices.simulated.world.weather import WeatherStation

_QUESTIONS = frozenset({"status", "read", "list"})
"""Commands that change nothing in the way of the light."""


class Clockwork(Device):
    """Tells the site time."""

    name = "world"

    @command
    def status(self, now: float) -> dict[str, Any]:
        """Report the site time (Unix seconds)."""
        return {"time": now}


class World:
    """The simulated hardware of one observatory.

    Its state lives in `directory` (in memory only when that is None) and is written at every change. Calls may come
    from several threads. Equal seeds and equal commands at equal site times give equal answers and equal frames.
    """

    def __init__(
        self,
        config: WorldConfig,
        location: Location,
        seed: int,
        directory: Path | None = None,
        time: Callable[[], float] = clock.time,
    ) -> None:
        self.config = config
        self.time = time
        self._path = directory / "state.json" if directory else None
        kept = state.load(self._path) if self._path else None
        self._state = kept or WorldState()
        self._truth = Truth(directory)
        self._lock = threading.RLock()
        self._render_lock = threading.Lock()
        self._renderer = Renderer(config, seed)
        self._devices = self._assemble(Site(config, location, seed, self._state))
        if kept is None:
            self._begin(time())
            self._save()

    def execute(self, device: str, command: str, params: dict[str, Any] | None = None) -> Any:
        """Send a command to a device.

        Gives builtins; `camera.read` gives the frame, a uint16 array (rows, columns). Raises `MethodNotFound`,
        `InvalidParams`, `DeviceError`, `DeviceTimeout`, `ConnectionLost`, `LimitExceeded` or `Busy`.
        """
        with self._lock:
            now = self.time()
            if self._settle(now):
                self._save()
            answer = self._answer(device, command, params or {}, now)
        return self._pixels(answer) if isinstance(answer, Exposure) else answer

    def roof_truth(self) -> tuple[str, float]:
        """What the roof really does, and how far it is open: for tests, never for modules."""
        with self._lock:
            now = self.time()
            self._settle(now)
            return self._roof.condition(now), self._roof.fraction(now)

    def _answer(self, name: str, command: str, params: dict[str, Any], now: float) -> Any:
        device = self._devices.get(name)
        if device is None:
            raise MethodNotFound(f"the simulated observatory has no device {name!r}", device=name)
        faults.check_link(self._state, name)
        if command in _QUESTIONS:
            answer = device.execute(command, params, now)
            return self._distorted(device, answer, now) if command == "status" else answer
        if command in device.stopping and faults.active(self._state, name, "hang"):
            return None
        self._camera.collect(now)
        try:
            answer = device.execute(command, params, now)
            self._settle(now)
        finally:
            self._save()
        return answer

    def _distorted(self, device: Device, status: dict[str, Any], now: float) -> dict[str, Any]:
        lie = faults.active(self._state, device.name, "lie")
        if lie is None:
            return status
        return status | lie.value if lie.value is not None else device.lie(status, now)

    def _settle(self, now: float) -> bool:
        """Carry out what time alone has brought about; tells whether anything changed."""
        passed = faults.transitions(self._state, now)
        for when, begins, fault in passed:
            self._camera.settle(when)
            self._camera.collect(when)
            self._carry_out(fault, begins, when)
        return self._camera.settle(now) or bool(passed)

    def _carry_out(self, fault: Fault, begins: bool, when: float) -> None:
        device = self._devices[fault.device]
        if begins:
            fault.active = True
        else:
            self._state.faults.remove(fault)
        device.timebase.change(when, faults.rate(self._state, fault.device))
        if begins and fault.kind == "stuck":
            device.halt(when, fault.value)

    def _pixels(self, exposure: Exposure) -> Frame:
        """Render a frame; whoever reads it again has the same bytes, and nobody keeps them meanwhile."""
        with self._render_lock:
            frame = self._renderer.render(exposure)
            frame.flags.writeable = False
            return frame

    def _assemble(self, site: Site) -> dict[str, Device]:
        climate = Climate(site.config.weather, site.location, site.seed)
        climate.forced = lambda when: faults.forced_weather(self._state, when)
        glow = SkyGlow(site, climate)
        mount, focuser, filters = Mount(site), Focuser(site, climate), FilterWheel(site)
        roof, cover = Roof(site), Cover(site)
        self._optics = Optics(site, mount, focuser, filters, roof, cover, climate, glow)
        self._camera = Camera(site, self._optics, climate, self._note_truth)
        self._climate = climate
        self._focuser, self._filters, self._roof = focuser, filters, roof
        weather = WeatherStation(site, climate, glow)
        devices: list[Device] = [mount, self._camera, focuser, filters, roof, cover, weather]
        devices += [Clockwork(site), faults.Faults(site, [device.name for device in devices])]
        return {device.name: device for device in devices}

    def _begin(self, now: float) -> None:
        """The state of hardware that is switched on for the first time."""
        mount, camera, focuser = self._state.mount, self._state.camera, self._state.focuser
        mount.origin = mount.target = (self.config.telescope.park_altitude, self.config.telescope.park_azimuth)
        camera.cooled_since, camera.cooled_from = now, self._climate.temperature(now)
        focuser.travel.origin = focuser.travel.target = self.config.focuser.initial

    def _note_truth(self, exposure: Exposure) -> None:
        if not exposure.samples:
            return
        middle = (exposure.site_start + (exposure.site_end or exposure.site_start)) / 2
        slot = self._filters.in_beam(middle)
        self._truth.note(
            exposure,
            rotation=self.config.camera.rotation,
            flip=self.config.camera.flip,
            pixel_scale=self.config.pixel_scale,
            focus=self._focuser.position(middle),
            clouds=self._climate.cloud_extinction(middle),
            filter=slot.name if slot else None,
            roof=self._roof.fraction(middle),
        )

    def _save(self) -> None:
        if self._path:
            state.save(self._state, self._path)
