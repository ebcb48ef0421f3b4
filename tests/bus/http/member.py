"""A member of an HTTP site in a process of its own: `member.py STATE_DIRECTORY MODULES ADDRESS`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from pytel.base import clock
from pytel.bus.address import Address
from pytel.bus.connect import make_bus
from pytel.bus.contract import Builtin, Call, Card, Topic
from pytel.module.sitefile import load_site


class Member:
    """Answers with its process, or not at all."""

    async def handle_call(self, call: Call) -> Builtin:
        if call.method == "hang":
            await asyncio.sleep(600)
        return os.getpid()


async def main(site: Path, address: str) -> None:
    bus = make_bus(load_site(site), Address.parse(address))
    await bus.open(Member(), Card(interfaces=(), boot=f"boot-{os.getpid()}"))
    bus.publish(Topic("state", "Process"), os.getpid(), clock.time())
    number = 0
    while True:
        number += 1
        bus.publish(Topic("event", "Counted"), number, clock.time())
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
