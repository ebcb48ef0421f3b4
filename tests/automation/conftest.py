"""Modules on a local bus in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pytel.base import virtual
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.local import LocalHub
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.services import Module

START = datetime(2026, 3, 1, 20, 0, tzinfo=UTC)


class Bench:
    """Starts, crashes and stops modules, and hears what they publish."""

    def __init__(self, directory: Path) -> None:
        location = Location(latitude=-32.38, longitude=20.81, elevation=1798.0)
        self.info = SiteInfo(name="test", location=location, seed=1, state_dir=directory)
        self.hub = LocalHub()
        self.runtimes: dict[str, ModuleRuntime] = {}

    async def start(self, name: str, kind: type[Module], config: Any = None) -> Any:
        runtime = ModuleRuntime(kind, config=config, site=self.info, bus=self.hub.bus(Address(name)))
        self.runtimes[name] = runtime
        await runtime.start()
        return runtime.module

    async def crash(self, name: str) -> None:
        await self.runtimes.pop(name).crash()

    async def stop(self) -> None:
        for runtime in reversed(list(self.runtimes.values())):
            await runtime.stop()


@pytest.fixture
def bench(tmp_path: Path) -> Callable[[Callable[[Bench], Any]], Any]:
    """Run an async function with a fresh bench on the virtual clock."""

    def run(scenario: Callable[[Bench], Any]) -> Any:
        async def main() -> Any:
            bench = Bench(tmp_path)
            try:
                return await scenario(bench)
            finally:
                await bench.stop()

        return virtual.run(main(), start=START, seed=1)

    return run
