"""What the interfaces and a module cost: import time and memory of fresh processes.

Floor: the bare interpreter. `python -m benchmarks.leanness`
"""

from __future__ import annotations

import functools

from benchmarks.measure import Figure, interleaved, report, run_python

CASES = {
    "python alone": "pass",
    "pytel.interfaces": "import pytel.interfaces",
    "a focuser module, ready, on the local bus": """
import asyncio, pathlib, sys
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.contract import CallOptions
from pytel.bus.local import LocalHub
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.interfaces.focuser import Focuser, FocuserState
from pytel.interfaces.motion import MotionStatus
from pytel.services import Module, every

class Lean(Module, Focuser):
    @every(5.0)
    async def poll(self) -> None:
        self.publish(FocuserState(status=MotionStatus.IDLE, position=1.0))

async def main():
    site = SiteInfo(name="bench", location=Location(latitude=0, longitude=0), seed=1,
                    state_dir=pathlib.Path("/nowhere"), simulation=None)
    runtime = ModuleRuntime(Lean, site=site, bus=LocalHub().bus(Address("focuser")))
    await runtime.start()
    await runtime.until_ready()
    assert await runtime.bus.call(Address("focuser"), "rpc.discover", {}, CallOptions())
    await runtime.stop()

asyncio.run(main())
assert "astropy" not in sys.modules and "numpy" not in sys.modules
""",
}


def main() -> None:
    """Measure and print."""
    memory: dict[str, float] = {}

    def case(name: str) -> float:
        seconds, memory[name] = run_python(CASES[name])
        return seconds

    for name in CASES:
        case(name)  # warms the disk cache
    figures: dict[str, Figure] = interleaved({name: functools.partial(case, name) for name in CASES}, rounds=7)
    floor = figures["python alone"].median
    rows = [("process", "wall s (low–high)", "above python", "RSS MiB", "goal")]
    goals = {"pytel.interfaces": "≤ 0.15 s, ≤ 35 MiB", "python alone": ""}
    for name, figure in figures.items():
        rows.append(
            (name, str(figure), f"{figure.median - floor:.3f} s", f"{memory[name]:.1f}", goals.get(name, "≤ 45 MiB"))
        )
    report("Leanness", rows, "pytel-ocs", "msgspec")


if __name__ == "__main__":
    main()
