"""The demonstration's directory, what it shows, and how it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from pytel.base import clock
from pytel.base.errors import ConfigError
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.contract import Publication, Topic
from pytel.cli.demo.folder import DemoFolder
from pytel.cli.demo.live import LiveDisplay
from pytel.cli.demo.options import DemoOptions
from pytel.cli.demo.summary import summary
from pytel.cli.demo.view import NightView

NOW = datetime(2026, 6, 15, 19, 0, tzinfo=UTC).timestamp()
REPORT = {
    "night": "2026-06-15",
    "open_shutter": 3600.0,
    "clear_dark_time": 7200.0,
    "open_shutter_fraction": 0.5,
    "exposures": [{}] * 30,
    "tasks": [{"status": "done"}, {"status": "pending"}],
    "lost": [{"seconds": 90.0}],
    "errors": [],
}


def options(out: Path, **changes: Any) -> DemoOptions:
    return msgspec.structs.replace(DemoOptions(out=out, virtual=True), **changes)


def finish_night(folder: DemoFolder, night: str) -> None:
    directory = folder.state / "observer" / night
    directory.mkdir(parents=True)
    (directory / "night.json").write_text(json.dumps({**REPORT, "night": night}))


def test_a_new_directory_gets_a_site_file_and_a_note(tmp_path: Path) -> None:
    folder = DemoFolder(options(tmp_path / "night", seed=7))
    note = folder.prepare()
    assert note.seed == 7
    assert "seed: 7" in folder.site_file.read_text()
    assert folder.prepare() == note


def test_a_live_demonstration_begins_shortly_before_dusk(tmp_path: Path) -> None:
    folder = DemoFolder(options(tmp_path / "night", virtual=False, rate=120.0))
    start = folder.prepare().start
    assert f"mode: scaled, rate: 120, start: {start:%Y-%m-%dT%H:%M:%S}Z" in folder.site_file.read_text()
    assert start.hour in (15, 16, 17, 18)


def test_nights_that_are_over_are_collected_even_after_a_kill(tmp_path: Path) -> None:
    folder = DemoFolder(options(tmp_path / "night", nights=3))
    folder.prepare()
    finish_night(folder, "2026-06-15")
    finish_night(folder, "2026-06-16")
    folder.prepare()
    assert [path.name for path in folder.reports()] == ["night-2026-06-15.json", "night-2026-06-16.json"]
    assert json.loads((folder.path / "night.json").read_text())["night"] == "2026-06-16"


def test_a_finished_demonstration_is_refused_unless_more_nights_or_a_fresh_start_are_wanted(tmp_path: Path) -> None:
    folder = DemoFolder(options(tmp_path / "night"))
    folder.prepare()
    finish_night(folder, "2026-06-15")
    with pytest.raises(ConfigError, match=r"finished demonstration of 1 night: start over with --fresh"):
        folder.prepare()
    DemoFolder(options(tmp_path / "night", nights=2)).prepare()
    DemoFolder(options(tmp_path / "night", fresh=True)).prepare()
    assert folder.reports() == []


def test_other_options_than_those_it_was_begun_with_are_refused(tmp_path: Path) -> None:
    DemoFolder(options(tmp_path / "night")).prepare()
    with pytest.raises(ConfigError, match=r"begun with seed 1, not 2: start over with --fresh"):
        DemoFolder(options(tmp_path / "night", seed=2)).prepare()
    with pytest.raises(ConfigError, match=r"begun with virtual true, not false"):
        DemoFolder(options(tmp_path / "night", virtual=False)).prepare()
    with pytest.raises(ConfigError, match=r"begun with guided false, not true"):
        DemoFolder(options(tmp_path / "night", guided=True)).prepare()


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(
    "make", [lambda path: (path.mkdir(), (path / "thesis.tex").touch()), lambda path: path.write_text("thesis")]
)
def test_what_is_no_demonstration_is_never_touched(tmp_path: Path, fresh: bool, make: Callable[[Path], object]) -> None:
    make(tmp_path / "work")
    with pytest.raises(ConfigError, match="is not empty and no demonstration"):
        DemoFolder(options(tmp_path / "work", fresh=fresh)).prepare()
    assert (tmp_path / "work").exists()


class Story:
    """A view that is told what modules publish."""

    def __init__(self) -> None:
        self.view = NightView()
        self._time = NOW

    def tell(self, kind: str, name: str, data: dict[str, Any], publisher: str = "module") -> None:
        self._time += 60
        topic = Topic(kind, name)
        self.view.hear(
            Publication(publisher=Address(publisher), topic=topic, seq=1, boot="b", time=self._time, data=data)
        )

    @property
    def lines(self) -> list[str]:
        return [line.text for line in self.view.lines]


@pytest.fixture
def story() -> Story:
    told = Story()
    told.tell("state", "Observer", {"status": "waiting for dusk", "until": "2026-06-15T16:02:00Z"})
    told.tell("event", "SafetyChanged", {"safe": True})
    told.tell("state", "Enclosure", {"status": "opening", "opening": 0.4})
    told.tell("state", "Enclosure", {"status": "open", "opening": 1.0})
    for exposure in range(3):
        state = {"status": "exposing", "task_name": "NGC 253", "exposure": exposure, "exposures": 4, "message": "V"}
        told.tell("state", "Observer", state)
    image = {"frame_type": "object", "start": "2026-06-15T18:10:00Z", "object": "NGC 253", "filter": "V"}
    told.tell("event", "NewImage", {**image, "exposure_time": 120.0, "image": {"size": 8400960}})
    told.tell("event", "NewImage", {**image, "frame_type": "focus", "exposure_time": 5.0, "image": {"size": 1}})
    told.tell("event", "EnclosureClosing", {"reasons": ["wind of 21 m/s is above 15 m/s"]})
    told.tell("event", "ErrorRaised", {"error": {"message": "the shutter is stuck"}}, "camera")
    told.tell("state", "Camera", {"status": "exposing", "exposure_time": 120.0, "remaining": 44.0, "progress": 0.6})
    told.tell("state", "Telescope", {"status": "tracking", "alt": 63.21, "az": 123.4})
    return told


def test_the_story_is_told_in_sentences_once_each(story: Story) -> None:
    assert story.lines == [
        "Waiting for dusk until 16:02.",
        "It is safe to be open.",
        "The roof is open.",
        "Exposing NGC 253: V.",
        "The roof closes: wind of 21 m/s is above 15 m/s.",
        "camera: the shutter is stuck",
    ]
    assert story.view.frames == {"object": 1, "focus": 1}


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 32), (160, 50), (40, 10)])
def test_the_live_display_fits_its_terminal(story: Story, width: int, height: int) -> None:
    console = Console(width=width, height=height, record=True, file=(Path("/dev/null")).open("w"))  # noqa: SIM115
    display = LiveDisplay(story.view, "sutherland", Location(latitude=-32.38, longitude=20.81), "1 night")
    with clock.using(clock.ScaledClock(NOW, clock.real_time(), 60.0)):
        console.print(display, height=height)
    console.file.close()
    lines = console.export_text().splitlines()
    assert len(lines) == height
    assert all(len(line.rstrip()) <= width for line in lines)
    if height >= 24:
        text = "\n".join(lines)
        for part in ("Sun -4", "Exposing NGC 253", "tracking", "44 s left", "the shutter is stuck", "Images: 1"):
            assert part in text


def test_the_display_of_nothing_yet() -> None:
    console = Console(width=80, height=24, record=True, file=(Path("/dev/null")).open("w"))  # noqa: SIM115
    console.print(LiveDisplay(NightView(), "here", Location(latitude=0, longitude=0), "1 night"), height=24)
    console.file.close()
    assert "The observer is not there." in console.export_text()


def test_the_summary(tmp_path: Path) -> None:
    console = Console(width=120, record=True, file=(Path("/dev/null")).open("w"))  # noqa: SIM115
    console.print(summary([REPORT]))
    console.file.close()
    line = console.export_text().splitlines()[1].split()
    assert line[0] == "2026-06-15"
    assert "50%" in line
