"""A whole virtual night of all modules: with frames of 2k, as the demo runs it, and without pixels.

Floor: the rendering of that night's frames alone, without any module. `python -m benchmarks.virtual_night`
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import interleaved, report
from pytel.base.location import Location
from pytel.cli.demo.folder import DemoFolder
from pytel.cli.demo.options import DemoOptions
from pytel.devices.simulated.world.config import WorldConfig
from pytel.devices.simulated.world.world import World

PYTEL = Path(sys.executable).with_name("pytel")
FULL, STAMP, FLOOR = "a night with 2k frames", "a night without pixels", "rendering 100 frames alone"
_frames: dict[str, str] = {}


def night(name: str) -> float:
    """Observe one night as a user would; gives wall seconds."""
    with tempfile.TemporaryDirectory() as directory:
        folder = DemoFolder(DemoOptions(out=Path(directory) / "night", virtual=True))
        folder.prepare()
        if name == STAMP:
            text = folder.site_file.read_text()
            folder.site_file.write_text(text.replace("simulation:\n", "simulation:\n  pixels: stamp\n"))
        command = [str(PYTEL), "demo", "--headless", "--virtual", "--seed", "1", "--out", str(folder.path)]
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken = time.perf_counter() - begun
        told = json.loads((folder.path / "night.json").read_text())
    if len(told["exposures"]) < 30:
        raise RuntimeError("the night was no night")
    _frames[name] = f"{len(told['exposures'])} science frames, {told['open_shutter_fraction']:.0%} open shutter"
    return taken


def frames() -> float:
    """Render 100 full frames of one field; gives seconds."""
    now = 1_781_560_800.0 + 6 * 3600
    moment = [now]
    world = World(
        WorldConfig(), Location(latitude=-32.38, longitude=20.81, elevation=1771.0), 1, None, lambda: moment[0]
    )
    world.execute("roof", "open", {})
    world.execute("mount", "unpark", {})
    moment[0] += 600
    world.execute("mount", "slew", {"ra": 260.0, "dec": -40.0})
    moment[0] += 120
    whole = {"binning": 1, "x": 0, "y": 0, "width": 2048, "height": 2048}
    spent = 0.0
    for _ in range(100):
        world.execute("camera", "start", {"exposure_time": 60.0, "shutter": True, **whole})
        moment[0] += 65
        begun = time.perf_counter()
        world.execute("camera", "read", {})
        spent += time.perf_counter() - begun
    return spent


def main() -> None:
    """Measure and print."""
    figures = interleaved({FULL: lambda: night(FULL), STAMP: lambda: night(STAMP), FLOOR: frames}, rounds=3)
    _frames[FLOOR] = ""
    goals = {FULL: "≤ 60 s", STAMP: "≤ 20 s", FLOOR: ""}
    rows: list[tuple[str, ...]] = [("what", "wall s (low–high)", "goal", "what came of it")]
    rows += [(name, str(figure), goals[name], _frames[name]) for name, figure in figures.items()]
    report("Virtual night", rows, "pytel-ocs", "numpy", "astropy")


if __name__ == "__main__":
    main()
