"""Makes the pictures of the documentation: one simulated night, seen on the live display, as a frame and as a plot.

    pip install -e '.[docs]'
    python scripts/make_pictures.py

It takes a minute or two and writes to docs/images. The same night comes out every time.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import dates
from matplotlib.figure import Figure
from rich.console import Console
from rich.terminal_theme import TerminalTheme

from pytel.base import clock, virtual
from pytel.cli.demo.folder import DemoFolder, nights_text
from pytel.cli.demo.live import LiveDisplay
from pytel.cli.demo.options import DemoOptions
from pytel.cli.demo.view import NightView
from pytel.cli.site_process import running_site
from pytel.module.sitefile import load_site
from pytel.sky.almanac import sun_altitude

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SNAPSHOT = datetime(2026, 6, 15, 22, 12, 30, tzinfo=UTC)
SHOWN = "M6"
SIDE = 560
"""Pixels of the frame in the picture."""
PAPER, INK, DIM = "#0d1117", "#c9d1d9", "#6e7681"
COLOURS = {"Clear": "#c9d1d9", "B": "#58a6ff", "V": "#3fb950", "R": "#ff7b72", "I": "#bc8cff"}
THEME = TerminalTheme(
    (13, 17, 23),
    (201, 209, 217),
    [(72, 79, 88), (255, 123, 114), (63, 185, 80), (210, 153, 34), (88, 166, 255), (188, 140, 255), (57, 197, 207),
     (177, 186, 196)],
    [(110, 118, 129), (255, 161, 152), (86, 211, 100), (227, 179, 65), (121, 192, 255), (210, 168, 255),
     (86, 212, 221), (240, 246, 252)],
)  # fmt: skip


def main() -> None:
    """Observe, then draw."""
    logging.disable(logging.CRITICAL)
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        folder = DemoFolder(DemoOptions(out=Path(directory) / "night", virtual=True))
        start = folder.prepare().start
        virtual.run(_observe(folder), start=start.timestamp(), seed=1)
        folder.collect()
        draw_night(folder)
    for path in sorted(IMAGES.iterdir()):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


async def _observe(folder: DemoFolder) -> None:
    site, view, over = load_site(folder.site_file), NightView(), asyncio.Event()
    view.ended = lambda _: over.set()
    display = LiveDisplay(view, site.info.name, site.info.location, nights_text(1))
    async with running_site(site, door=False) as process:
        process.bus.subscribe(None, view.hear)
        await clock.sleep_until(SNAPSHOT)
        draw_display(display)
        await over.wait()


def draw_display(display: LiveDisplay) -> None:
    """The live display as it stands, as SVG."""
    console = Console(
        record=True, width=112, height=32, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(display)
    console.save_svg(str(IMAGES / "demo.svg"), title="make demo", theme=THEME, unique_id="demo")


def draw_night(folder: DemoFolder) -> None:
    """A frame of the night, and beside it the altitudes of all its frames."""
    report = json.loads((folder.path / "night.json").read_text(encoding="utf-8"))
    mpl.rcParams.update({"font.size": 9, "text.color": INK, "axes.edgecolor": DIM, "svg.hashsalt": "pytel"})
    mpl.rcParams.update({"axes.labelcolor": INK, "xtick.color": DIM, "ytick.color": DIM})
    figure = Figure(figsize=(11.2, 4.3), facecolor=PAPER)
    frame, plot = figure.add_axes((0.01, 0.03, 0.365, 0.89)), figure.add_axes((0.435, 0.12, 0.545, 0.80))
    _draw_frame(frame, folder, report)
    _draw_altitudes(plot, folder, report)
    figure.savefig(IMAGES / "night.png", dpi=110, metadata={"Software": None})


def _draw_frame(axes: Any, folder: DemoFolder, report: Mapping[str, Any]) -> None:
    tasks = {task["id"]: task["name"] for task in report["tasks"]}
    exposure = next(entry for entry in report["exposures"] if tasks[entry["task"]] == SHOWN)
    pixels, _ = _read(folder, exposure)
    edge = pixels.shape[0] // SIDE
    cut = pixels[: edge * SIDE, : edge * SIDE].astype(float)
    small = cut.reshape(SIDE, edge, SIDE, edge).mean(axis=(1, 3))
    sky = np.median(small)
    noise = 1.48 * np.median(np.abs(small - sky))
    axes.imshow(np.arcsinh((small - sky) / noise / 2), cmap="gray", origin="lower", vmin=-0.8, vmax=6)
    axes.set_axis_off()
    text = f"{SHOWN}, {exposure['filter']}, {exposure['exposure_time']:g} s: a raw frame of 60 arcmin"
    axes.set_title(text, fontsize=9, color=INK)


def _draw_altitudes(axes: Any, folder: DemoFolder, report: Mapping[str, Any]) -> None:
    axes.set_facecolor(PAPER)
    for exposure in report["exposures"]:
        _, header = _read(folder, exposure)
        begin = datetime.fromisoformat(exposure["start"])
        hours = [dates.date2num(begin), dates.date2num(begin) + exposure["exposure_time"] / 86400]
        axes.plot(hours, [header["OBJCTALT"]] * 2, color=COLOURS[exposure["filter"]], lw=4, solid_capstyle="butt")
    for lost in report["lost"]:
        span = [dates.date2num(datetime.fromisoformat(lost[key])) for key in ("start", "end")]
        axes.axvspan(*span, color="#d29922", alpha=0.25, lw=0)
    _draw_twilight(axes, folder, report)
    for name, colour in COLOURS.items():
        axes.plot([], [], color=colour, lw=4, label=name)
    axes.axvspan(0, 0, color="#d29922", alpha=0.25, lw=0, label="closed or idle")
    axes.legend(ncols=6, loc="lower center", frameon=False, fontsize=8, labelcolor=INK, handlelength=1.2)
    axes.set_ylim(0, 90)
    axes.set_ylabel("altitude / deg")
    axes.xaxis.set_major_locator(dates.HourLocator(byhour=range(0, 24, 2)))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H"))
    axes.set_xlabel("UTC / h")
    share = report["open_shutter_fraction"]
    title = f"The night of {report['night']}: {len(report['exposures'])} frames, {share:.0%} open shutter"
    axes.set_title(title, fontsize=9, color=INK)


def _draw_twilight(axes: Any, folder: DemoFolder, report: Mapping[str, Any]) -> None:
    location = load_site(folder.site_file).info.location
    begin, end = (datetime.fromisoformat(report[key]).timestamp() for key in ("start", "end"))
    for time in np.arange(begin - 600, end + 600, 120):
        light = np.clip((float(sun_altitude(time, location)) + 18) / 12, 0, 1)
        left = dates.date2num(datetime.fromtimestamp(time, UTC))
        axes.axvspan(left, left + 120 / 86400, color="#58a6ff", alpha=0.35 * light, lw=0)
    axes.set_xlim(*(dates.date2num(datetime.fromtimestamp(time, UTC)) for time in (begin - 600, end + 600)))


def _read(folder: DemoFolder, exposure: Mapping[str, Any]) -> tuple[Any, Any]:
    from astropy.io import fits

    with fits.open(folder.path / "images" / exposure["path"]) as file:
        return file[0].data, file[0].header.copy()


if __name__ == "__main__":
    main()
