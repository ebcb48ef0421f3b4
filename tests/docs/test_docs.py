"""Every block of code in the pages is carried out: Python is run, commands are given to a site as a reader would."""

from __future__ import annotations

import ast
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BIN = str(Path(sys.executable).parent)
NIGHT = "--headless --virtual --nights 1 --seed 1 --out night1"
ELSEWHERE = {"git", "source"}
"""Commands that only prepare a shell."""
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
_SAVED = re.compile(r"[Ss]ave this as `([\w.]+)`[^\n]*(?:\n[^\n`]+)*:?\n\n```\w+\n(.*?)```", re.S)


class Block(NamedTuple):
    """A block of code of a page."""

    page: str
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The commands of a console block, without what is said about them."""
        lines = [line[2:].partition("  #")[0].strip() for line in self.text.splitlines() if line.startswith("$ ")]
        return [_without_make(command) for command in lines]


def _without_make(command: str) -> str:
    """`make demo ARGS="…"` is `pytel demo …` in the environment of these tests."""
    match = re.fullmatch(r'make demo ARGS="(.*)"', command)
    return f"pytel demo {match[1]}" if match else command


def blocks(page: Path) -> list[Block]:
    return [Block(page.name, *found) for found in _BLOCK.findall(page.read_text(encoding="utf-8"))]


ALL = [block for page in PAGES for block in blocks(page)]


def block_with(page: str, text: str) -> Block:
    found = [block for block in ALL if block.page == page and text in block.text]
    assert len(found) == 1, f"{page} should have one block with {text!r}"
    return found[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the tutorial has the reader save."""
    page = (ROOT / "docs" / "write-a-module.md").read_text(encoding="utf-8")
    for name, text in _SAVED.findall(page):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def run(command: str, folder: Path, seconds: float = 100) -> str:
    """Run a command that ends by itself."""
    done = subprocess.run(
        shlex.split(command),
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def watch(command: str, folder: Path, word: str) -> str:
    """Run a command until it has said a word, or for a few seconds; then Ctrl-C."""
    seen = folder / "watched"
    environment = {**_environment(), "PYTHONUNBUFFERED": "1"}
    ends = time.monotonic() + (60.0 if word else 6.0)
    with (
        seen.open("w") as out,
        subprocess.Popen(shlex.split(command), cwd=folder, env=environment, stdout=out) as process,
    ):
        while time.monotonic() < ends and not (word and word in seen.read_text()):
            time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        process.wait(20)
    assert process.returncode == 0, command
    return seen.read_text()


def _environment() -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if key != "PYTEL_STATE"}
    return {**clean, "PATH": f"{BIN}{os.pathsep}{clean['PATH']}"}


class Site:
    """A site that runs as long as the test."""

    def __init__(self, command: str, folder: Path) -> None:
        self.folder = folder
        with (folder / "output").open("w") as output:
            self._process = subprocess.Popen(
                shlex.split(command), cwd=folder, env=_environment(), stdout=output, stderr=output
            )

    def wait_until_ready(self, asking: str = "pytel modules") -> None:
        """Wait until each module is there."""
        for _ in range(300):
            asked = subprocess.run(
                shlex.split(asking), cwd=self.folder, env=_environment(), capture_output=True, text=True, check=False
            )
            rows = asked.stdout.splitlines()[1:]
            if asked.returncode == 0 and all(" ready " in row for row in rows):
                return
            assert self._process.poll() is None, self.output()
            time.sleep(0.1)
        raise AssertionError(self.output())

    def output(self) -> str:
        return (self.folder / "output").read_text()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(60)
        finally:
            self._process.kill()


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[[str], Site]]:
    """Starts sites that are stopped in the end."""
    sites: list[Site] = []

    def begin(command: str) -> Site:
        sites.append(Site(command, folder))
        sites[-1].wait_until_ready()
        return sites[-1]

    yield begin
    for site in sites:
        site.stop()


def talk(block: Block, folder: Path, word: str = "") -> dict[str, str]:
    """Give all commands of a block to a running site, a watching one until it says a word; the output of each."""
    said = {}
    for command in block.commands:
        if command.split()[0] in ELSEWHERE:
            continue
        said[command] = watch(command, folder, word) if command.startswith("pytel watch") else run(command, folder)
    return said


def test_no_block_is_left_out() -> None:
    """A new page or block must be carried out somewhere below: this list says where each stands."""
    carried_out = {
        ("README.md", "console"): 4,
        ("acquisition.md", "yaml"): 1,
        ("alpaca-server.md", "console"): 1,
        ("alpaca-server.md", "python"): 1,
        ("alpaca-server.md", "yaml"): 2,
        ("autofocus.md", "yaml"): 1,
        ("README.md", "python"): 1,
        ("benchmarks.md", "sh"): 2,
        ("calibration-frames.md", "yaml"): 2,
        ("devices.md", "console"): 4,
        ("pointing-model.md", "yaml"): 1,
        ("first-night.md", ""): 1,
        ("first-night.md", "console"): 5,
        ("guiding.md", "yaml"): 2,
        ("foreign-systems.md", "yaml"): 3,
        ("http-bus.md", "yaml"): 2,
        ("http.md", "console"): 6,
        ("http.md", "yaml"): 3,
        ("imaging.md", "console"): 1,
        ("indi-night.md", "console"): 4,
        ("indi-night.md", "sh"): 1,
        ("indi-night.md", "yaml"): 2,
        ("indi-server.md", "sh"): 1,
        ("indi-server.md", "yaml"): 1,
        ("imaging.md", "python"): 2,
        ("night-json.md", "python"): 1,
        ("reduction.md", "console"): 2,
        ("reduction.md", "yaml"): 2,
        ("running-a-site.md", "console"): 1,
        ("running-a-site.md", "ini"): 1,
        ("running-a-site.md", "yaml"): 1,
        ("safety.md", "yaml"): 2,
        ("site-file.md", "yaml"): 3,
        ("testing.md", "python"): 4,
        ("write-a-module.md", "console"): 4,
        ("write-a-module.md", "python"): 3,
        ("write-a-module.md", "toml"): 1,
        ("write-a-module.md", "yaml"): 2,
        ("xmpp-clients.md", "console"): 2,
        ("xmpp-clients.md", "javascript"): 1,
        ("xmpp-clients.md", "python"): 1,
    }
    there: dict[tuple[str, str], int] = {}
    for block in ALL:
        there[block.page, block.language] = there.get((block.page, block.language), 0) + 1
    assert there == carried_out


@pytest.mark.slow
def test_what_follows_from_the_code_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "write_reference.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_site_file_page_names_every_key() -> None:
    from pytel.module import sitefile

    page = (ROOT / "docs" / "site-file.md").read_text(encoding="utf-8")
    for section in (sitefile._Site, sitefile._Place, sitefile._Group, sitefile._Entry):
        for key in section.__struct_fields__:
            assert f"`{key}`" in page, key


@pytest.mark.parametrize(
    "page", ["acquisition.md", "autofocus.md", "calibration-frames.md", "guiding.md", "pointing-model.md", "safety.md"]
)
def test_the_modules_of_a_page_fit_into_a_site(page: str, tmp_path: Path) -> None:
    from pytel.module.sitefile import parse_site
    from pytel.module.yaml_lines import read_yaml
    from pytel.testing.observatory import default_site

    for block in blocks(ROOT / "docs" / page):
        site = default_site()
        described, _, _ = read_yaml(block.text, page)
        site["modules"] |= described["modules"]
        _, faults = parse_site(site, directory=tmp_path)
        assert not faults, block


def test_the_readme_shows_the_module_of_the_tutorial() -> None:
    shown = block_with("README.md", "class DewWatch").text
    assert shown.strip() in block_with("write-a-module.md", "class DewWatch").text


def test_every_python_block_is_python() -> None:
    for block in ALL:
        if block.language == "python":
            ast.parse(block.text)


def test_pages_name_no_place_of_one_machine() -> None:
    for page in PAGES:
        assert not re.search(r"(?<![\w.])/(home|root|work|tmp|Users)/", page.read_text(encoding="utf-8")), page.name


def test_pictures_are_small_and_shown() -> None:
    pictures = sorted((ROOT / "docs" / "images").iterdir())
    assert sum(picture.stat().st_size for picture in pictures) < 1_000_000
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"docs/images/{picture.name}" in readme for picture in pictures)


def test_the_imaging_page(folder: Path) -> None:
    from benchmarks.accuracy.frames import Simulator

    from pytel.base.location import Location
    from pytel.devices.simulated.world.config import TelescopeConfig, WorldConfig
    from pytel.module.site import SiteInfo

    simulator = Simulator(WorldConfig(telescope=TelescopeConfig(focal_length=3150.0)))
    sky = simulator.field(83.9, -5.3)
    place = Location(latitude=49.0, longitude=8.0)
    site = SiteInfo(name="a", location=place, state_dir=folder, simulation={}, path=folder / "site.yaml")
    known: dict[str, Any] = {
        "first_pixels": simulator.frame(1, sky),
        "pixels": simulator.frame(2, sky, dx=3.0),
        "self": SimpleNamespace(site=site),
    }
    offset, place_on_sky = (block.text for block in ALL if block.page == "imaging.md" and block.language == "python")
    exec(compile(offset, "imaging.md", "exec"), known)
    assert known["found"].dx == pytest.approx(3.0, abs=0.01)
    exec(compile(place_on_sky, "imaging.md", "exec"), known)
    assert known["found"].sky_to_pixel(83.9, -5.3) == pytest.approx((1026.5, 1023.5), abs=0.2)
    (folder / "gaia.csv").write_text("ra,dec,phot_g_mean_mag\n83.9,-5.3,12.5\n", encoding="utf-8")
    assert "1 stars" in run(block_with("imaging.md", "catalogue pack").commands[0], folder)


@pytest.mark.slow
def test_testing_page(folder: Path) -> None:
    """The tests that the page shows pass; the last but one has twenty nights, of which this takes one."""
    shown = [block.text for block in ALL if block.page == "testing.md" and block.language == "python"]
    nights = next(text for text in shown if "run_nights" in text)
    for position, text in enumerate(text for text in shown if text is not nights):
        (folder / f"test_page_{position}.py").write_text(text, encoding="utf-8")
    (folder / "nights.py").write_text(nights.replace("count=20", "count=1"), encoding="utf-8")
    run("python -m pytest -q -p no:cacheprovider -o asyncio_mode=auto test_page_0.py test_page_1.py", folder)
    run("python nights.py", folder)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_night_of_the_readme_and_its_report(folder: Path) -> None:
    night, listing = block_with("README.md", "ls night1").commands
    assert night == f"pytel demo {NIGHT}" == block_with("first-night.md", "--seed 1 --out night1").commands[0]
    output = run(night, folder, 250)
    assert "of the clear dark time" not in output
    assert "night.json" in run(listing, folder)
    (folder / "report.py").write_text(block_with("night-json.md", "json.loads").text, encoding="utf-8")
    assert "frames, shutter open" in run("python report.py", folder)


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_talking_to_the_demonstration(folder: Path, start: Callable[[str], Site]) -> None:
    start("pytel demo --headless")
    said = talk(block_with("README.md", "pytel state telescope"), folder)
    assert "telescope" in said["pytel modules"]
    assert "expose" in said["pytel call camera"]
    assert "sha256" in said['pytel call camera.expose "10 s" frame_type=dark']
    said = talk(block_with("first-night.md", "pytel stop weather"), folder)
    assert "no" in said["pytel state safety"]


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_the_demonstration_over_xmpp(folder: Path) -> None:
    command, asking = block_with("README.md", "--bus xmpp").commands
    site = Site(f"{command} --headless", folder)
    try:
        site.wait_until_ready(asking)
        assert "SimulatedTelescope" in run(asking, folder)
    finally:
        site.stop()
    assert "The roof is closed." in site.output()


@pytest.mark.slow
def test_the_demonstration_by_the_stars(folder: Path) -> None:
    command, asking = block_with("first-night.md", "--guided").commands
    site = Site(f"{command} --headless", folder)
    try:
        site.wait_until_ready("pytel modules --state guided")
        assert "status" in run(asking, folder)
    finally:
        site.stop()
    assert "The roof is closed." in site.output()


@pytest.mark.slow
def test_starting_anew(folder: Path) -> None:
    command = block_with("first-night.md", "--fresh").commands[0]
    site = Site(f"{command} --headless", folder)
    site.wait_until_ready()
    site.stop()
    assert "The roof is closed. It was stopped before the end; the same command goes on." in site.output()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_nights_with_faults(folder: Path) -> None:
    command = block_with("first-night.md", "pytel nights").commands[0]
    assert "all that must hold, held" in run(command, folder, seconds=360)


@pytest.mark.slow
def test_the_module_of_the_tutorial_runs(folder: Path, start: Callable[[str], Site]) -> None:
    check, begin = block_with("write-a-module.md", "pytel check").commands
    assert "is fine: 3 modules" in run(check, folder)
    start(begin)
    said = talk(block_with("write-a-module.md", "pytel watch Notified"), folder, "subject=Dew")
    assert "DewWatch" in said["pytel modules"]
    assert "subject=Dew" in said["pytel watch Notified"]


@pytest.mark.slow
def test_the_device_and_the_test_of_the_tutorial_run(folder: Path, start: Callable[[str], Site]) -> None:
    with (folder / "site.yaml").open("a", encoding="utf-8") as file:
        file.write(block_with("write-a-module.md", "lamp: {").text)
    start(block_with("write-a-module.md", "pytel check").commands[1])
    said = talk(block_with("write-a-module.md", "pytel call lamp"), folder)
    assert "calibrator_on" in said["pytel call lamp"]
    assert "0.5" in said["pytel state lamp"]
    (test,) = block_with("write-a-module.md", "python -m pytest").commands
    assert "1 passed" in run(test, folder)
