"""Whole nights of the demonstration, as the command runs them."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from pytel.cli.demo.folder import DemoFolder
from pytel.cli.demo.options import DemoOptions
from pytel.imaging.fits import read_header

from .conftest import PYTEL, start, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def prepared(path: Path) -> Path:
    """A demonstration whose frames are small stamps, so that a night takes seconds."""
    folder = DemoFolder(DemoOptions(out=path, virtual=True))
    folder.prepare()
    text = folder.site_file.read_text()
    folder.site_file.write_text(text.replace("simulation:\n", "simulation:\n  pixels: stamp\n"))
    return path


def demo(path: Path) -> list[str]:
    return ["demo", "--headless", "--virtual", "--seed", "1", "--out", str(path)]


def run(path: Path) -> str:
    done = subprocess.run([*PYTEL, *demo(path)], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_night_is_observed_and_its_folder_takes_no_second(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "a")
    assert "is over" in run(folder)
    report = json.loads((folder / "night.json").read_text())
    assert len(report["exposures"]) >= 30
    assert report["open_shutter_fraction"] > 0.6
    assert (folder / "world" / "truth.jsonl").stat().st_size > 0
    done = subprocess.run([*PYTEL, *demo(folder)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "has a finished demonstration of 1 night" in done.stderr


def test_a_guided_night_acquires_its_targets_and_guides_on_its_frames(tmp_path: Path) -> None:
    made = DemoFolder(DemoOptions(out=tmp_path / "guided", virtual=True, guided=True))
    made.prepare()
    text = made.site_file.read_text()
    for whole, small in (
        ("simulation:\n", "simulation:\n  camera: {width: 1024, height: 1024}\n"),
        (", window: {x: 512, y: 512, width: 1024, height: 1024}", ""),
    ):
        assert text.count(whole) == 1
        text = text.replace(whole, small)
    made.site_file.write_text(text)
    folder = made.path
    done = subprocess.run([*PYTEL, *demo(folder), "--guided"], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((folder / "night.json").read_text())
    assert len(report["exposures"]) >= 100
    assert report["open_shutter_fraction"] > 0.6
    headers = [read_header(folder / "images" / exposure["path"]) for exposure in report["exposures"]]
    guided = [header for header in headers if header["GUIDSTAT"] == "guiding"]
    assert len(guided) > 0.7 * len(headers)
    assert list((folder / "images").glob("*/*acquisition*.fits"))


def test_after_a_kill_the_same_command_goes_on(tmp_path: Path) -> None:
    path = prepared(tmp_path / "night")
    process = start(tmp_path, *demo(path))
    images = path / "images"
    wait_for(lambda: len(list(images.glob("*/*object*.fits"))) >= 20, process, tmp_path, 120)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {image.name for image in images.glob("*/*.fits")}
    assert "goes on where it was" in run(path)
    report = json.loads((path / "night.json").read_text())
    paths = [exposure["path"] for exposure in report["exposures"]]
    keys = [(exposure["task"], exposure["index"]) for exposure in report["exposures"]]
    after = {image.name for image in images.glob("*/*.fits")}
    assert len(set(paths)) == len(paths)
    assert len(set(keys)) == len(keys)
    assert before <= after
    assert {Path(path).name for path in paths} <= after
    assert all((images / path).exists() for path in paths)
