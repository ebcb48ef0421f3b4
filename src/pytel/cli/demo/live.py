"""The live display of the demonstration; calm enough for a night, and readable at 80 x 24."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.layout import Layout
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pytel.base import clock
from pytel.base.location import Location
from pytel.cli.demo.view import NightView, observer_words
from pytel.cli.screen import shown

LEVELS = {"info": "", "good": "green", "warning": "yellow", "error": "bold red"}
GOOD = {"open": "green", "tracking": "green", "exposing": "green", "safe": "green"}
BUSY = {"opening", "closing", "slewing", "parking", "reading", "moving", "focusing"}


class LiveDisplay:
    """Draws a `NightView`; rich asks for it several times a second."""

    def __init__(self, view: NightView, site: str, location: Location, nights: str) -> None:
        self.view = view
        self._site = site
        self._location = location
        self._nights = nights
        self._sun = (0.0, 0.0)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = options.height or console.height
        wide = options.max_width >= 110
        layout = Layout()
        layout.split_column(
            Layout(self._header(wide), size=1),
            Layout(self._observer(), size=4),
            Layout(name="middle", size=12 if height >= 30 else 11),
            Layout(self._story(height - 19 if height >= 30 else height - 18), name="story"),
        )
        layout["middle"].split_row(
            Layout(self._instruments(wide), ratio=3), Layout(self._images(wide, 8), ratio=4 if wide else 3)
        )
        yield layout

    def _header(self, wide: bool) -> Text:
        now = clock.now()
        altitude = self._sun_altitude()
        rate = clock.current().rate
        gap, speed = "   " if wide else "  ", "" if rate == 1 else f"{rate:g}x"
        parts: list[str | tuple[str, str]] = [
            (f" {self._site.capitalize()} ", "bold reverse"),
            f"{gap}{now:%Y-%m-%d} ",
            (f"{now:%H:%M:%S} UTC", "bold"),
            f"{gap}Sun {altitude:+.1f}° {_sky_word(altitude)}",
            (gap + ", ".join(part for part in (speed, self._nights if wide else "") if part), "dim"),
        ]
        return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")

    def _sun_altitude(self) -> float:
        from pytel.sky.almanac import sun_altitude

        now = clock.time()
        if abs(now - self._sun[0]) > 10:
            self._sun = (now, float(sun_altitude(now, self._location)))
        return self._sun[1]

    def _observer(self) -> Panel:
        state = self.view.state("Observer")
        first = Text(observer_words(state), no_wrap=True, overflow="ellipsis")
        missing = sorted(name for name, status in self.view.modules.items() if status != "ready")
        second: Any = Text(f"not ready: {', '.join(missing)}" if missing else "", "yellow")
        if state.get("exposures"):
            done, planned = int(state.get("exposure") or 0), int(state["exposures"])
            second = _bar_line(f"exposure {min(done + 1, planned)} of {planned}", done / planned)
        return _panel(Group(first, second), "Observer")

    def _instruments(self, wide: bool) -> Panel:
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(style="dim", no_wrap=True, width=9)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for name, content in (
            ("roof", self._roof()),
            ("safety", self._safety()),
            ("weather", self._weather()),
            ("sky", self._sky()),
            ("telescope", self._telescope(wide)),
            ("camera", self._camera(wide)),
            ("", self._exposure()),
            ("filter", self._filter()),
            ("focus", self._focus()),
        ):
            table.add_row(name, content)
        return _panel(table, "Observatory")

    def _roof(self) -> Text:
        state = self.view.state("Enclosure")
        opening = state.get("opening")
        extra = f"  {opening:.0%}" if opening not in (None, 0.0, 1.0) else ""
        return Text.assemble(_status(state), extra)

    def _safety(self) -> Text:
        state = self.view.state("SafetyMonitor")
        if not state:
            return Text("–")
        if state["safe"]:
            return Text("safe", "green")
        return Text("; ".join(state.get("reasons") or ()) or "unsafe", "yellow")

    def _weather(self) -> Text:
        state = self.view.state("Weather")
        parts = [("temperature", "°C"), ("humidity", "%"), ("wind_speed", "m/s")]
        return Text("  ".join(_rounded(state, key, unit) for key, unit in parts if state.get(key) is not None) or "–")

    def _sky(self) -> Text:
        state = self.view.state("Weather")
        parts = [("cloud_cover", "% clouds"), ("seeing", "″ seeing")]
        return Text("  ".join(_rounded(state, key, unit) for key, unit in parts if state.get(key) is not None) or "–")

    def _telescope(self, wide: bool) -> Text:
        state = self.view.state("Telescope")
        text = _status(state)
        if state.get("alt") is not None and state.get("az") is not None:
            digits = 1 if wide else 0
            text.append(f"  alt {state['alt']:.{digits}f}°  az {state['az']:.{digits}f}°")
        return text

    def _camera(self, wide: bool) -> Text:
        state = self.view.state("Camera")
        text = _status(state)
        exposing = state.get("status") == "exposing" and state.get("exposure_time")
        if exposing:
            text.append(f"  {state.get('frame_type') or ''} {state['exposure_time']:g} s")
        if state.get("temperature") is not None and (wide or not exposing):
            text.append(f"  {state['temperature']:.0f} °C", "dim")
        return text

    def _exposure(self) -> Any:
        state = self.view.state("Camera")
        progress = state.get("progress")
        if state.get("status") not in ("exposing", "reading") or progress is None:
            return Text("")
        left = state.get("remaining")
        return _bar_line("" if left is None else f"{left:.0f} s left", progress, 12)

    def _filter(self) -> Text:
        state = self.view.state("FilterWheel")
        return Text(str(state["filter"]) if state.get("filter") else str(state.get("status", "–")))

    def _focus(self) -> Text:
        focuser, last = self.view.state("Focuser"), self.view.state("AutoFocus").get("last")
        text = Text("–" if focuser.get("position") is None else f"{focuser['position']:.3f} mm")
        if self.view.state("AutoFocus").get("status") == "focusing":
            text.append("  series running", "cyan")
        elif last:
            text.append(f"  best {last['hfd']:.1f} px", "dim")
        return text

    def _images(self, wide: bool, rows: int) -> Panel:
        kept = self.view.state("ImageArchive").get("images")
        table = Table(box=None, expand=True, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
        table.add_column("UTC", no_wrap=True, width=5)
        table.add_column("object", no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column("filter", no_wrap=True)
        table.add_column("exp.", no_wrap=True, justify="right")
        if wide:
            table.add_column("size", no_wrap=True, justify="right")
        for image in list(self.view.images)[-rows:]:
            cells = [
                str(image["start"])[11:16],
                str(image.get("object") or "–"),
                str(image.get("filter") or "–"),
                f"{image['exposure_time']:g} s",
            ]
            if wide:
                cells.append(f"{image['image']['size'] / 1e6:.1f} MB")
            table.add_row(*cells)
        return _panel(
            table,
            f"Images: {self.view.frames.get('object', 0)}" + ("" if kept is None else f" ({kept} in the archive)"),
        )

    def _story(self, rows: int) -> Panel:
        lines = [
            Text.assemble((f"{line.time:%H:%M}", "dim"), " ", (line.text, LEVELS[line.level]))
            for line in list(self.view.lines)[-max(1, rows) :]
        ]
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        return _panel(Group(*lines), "Events", subtitle="Ctrl-C closes the roof and stops")


def _panel(content: Any, title: str, subtitle: str | None = None) -> Panel:
    return Panel(
        content,
        title=Text(title, "bold"),
        title_align="left",
        subtitle=Text(subtitle, "dim") if subtitle else None,
        subtitle_align="right",
        box=box.ROUNDED,
        border_style="bright_black",
        padding=(0, 1),
    )


def _bar_line(text: str, fraction: float, width: int = 16) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=width)
    grid.add_column(no_wrap=True)
    grid.add_row(ProgressBar(total=1.0, completed=fraction, width=width), Text(text, "dim"))
    return grid


def _status(state: Mapping[str, Any]) -> Text:
    status = str(state.get("status", "–"))
    style = "bold red" if status in ("error", "unknown") else "cyan" if status in BUSY else GOOD.get(status, "")
    return Text(status, style)


def _rounded(state: Mapping[str, Any], key: str, unit: str) -> str:
    digits = 1 if key in ("seeing", "temperature", "wind_speed") else 0
    return f"{shown(round(float(state[key]), digits))}{'' if unit[0] in '″%' else ' '}{unit}"


def _sky_word(altitude: float) -> str:
    limits = ((-18, "night"), (-12, "astronomical twilight"), (-6, "nautical twilight"), (-0.8, "civil twilight"))
    return next((word for limit, word in limits if altitude < limit), "day")
