"""A site on an XMPP server in a process of its own: `python xmpp_site.py site.yaml`; it ends when its input does."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

from pytel.base.threads import in_thread
from pytel.bus.connect import make_bus
from pytel.devices.simulated.hardware import start_world
from pytel.module.runtime import ModuleRuntime
from pytel.module.sitefile import load_site


async def main(path: str) -> None:
    site = load_site(Path(path))
    async with contextlib.AsyncExitStack() as stack:
        world = await start_world(site.info)
        stack.push_async_callback(world.stop)
        for spec in site.modules:
            bus = make_bus(site, spec.address)
            runtime = ModuleRuntime(spec.kind, config=spec.config, site=site.info, bus=bus, uses=spec.uses)
            await runtime.start()
            stack.push_async_callback(runtime.stop)
            await runtime.until_ready()
        print("ready", flush=True)
        await in_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
