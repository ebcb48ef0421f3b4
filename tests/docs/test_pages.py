"""What the pages for users say, is done: their blocks are saved and run as a reader would."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytel.base.errors import DeviceError
from pytel.interfaces import CalibratorStatus, CoverCalibrator, CoverCalibratorState
from pytel.module.sitefile import parse_site
from pytel.testing import alone, run

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PYTEL = str(Path(sys.executable).with_name("pytel"))
_FILE = re.compile(r"[Ss]ave this as `([\w.]+)`[^\n]*(?:\n[^\n`]+)*:?\n\n```\w+\n(.*?)```", re.S)
_YAML = re.compile(r"```yaml\n(site: .*?)```", re.S)
_LINK = re.compile(r"\]\(([^)#]+)\)")


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """The files of the tutorial in a folder of their own."""
    files = _FILE.findall((DOCS / "write-a-module.md").read_text(encoding="utf-8"))
    assert [name for name, _ in files] == ["dewwatch.py", "site.yaml", "lamp.py", "test_dewwatch.py"]
    for name, text in files:
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_module_has_fifteen_lines(page: Path) -> None:
    lines = [line for line in (page / "dewwatch.py").read_text().splitlines() if line.strip()]
    assert len(lines) <= 15


@pytest.mark.slow
def test_the_readers_own_test_passes(page: Path) -> None:
    subprocess.run([sys.executable, "-m", "pytest", "-q", "test_dewwatch.py"], cwd=page, check=True, timeout=100)


@pytest.mark.slow
def test_mypy_is_content_with_what_the_page_shows(page: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "dewwatch.py", "lamp.py", "test_dewwatch.py"]
    subprocess.run(command, cwd=page, check=True, timeout=110)


@pytest.mark.slow
def test_the_site_is_checked_and_runs(page: Path) -> None:
    subprocess.run([PYTEL, "check", "site.yaml"], cwd=page, check=True, timeout=60)
    with subprocess.Popen([PYTEL, "run", "site.yaml"], cwd=page) as site:
        try:
            assert _status_of("dew", page) == "ready"
        finally:
            site.send_signal(signal.SIGINT)
            site.wait(30)


def _status_of(module: str, page: Path) -> str | None:
    status = None
    for _ in range(50):
        asked = subprocess.run(
            [PYTEL, "modules", "--json"], cwd=page, capture_output=True, text=True, timeout=30, check=False
        )
        if asked.returncode == 0:
            status = {entry["address"]: entry["status"] for entry in json.loads(asked.stdout)}.get(module)
        if status == "ready":
            break
        time.sleep(0.2)
    return status


def test_the_device_of_the_page_can_be_called(page: Path) -> None:
    source = "site: {name: a, latitude: 1, longitude: 2}\nmodules: {lamp: {type: lamp.FlatLamp, warm_up: 10 s}}"
    site, faults = parse_site(source, directory=page)
    assert site is not None, faults
    spec = site.modules[0]

    async def use() -> None:
        async with alone(spec.kind, config=spec.config) as (_, bus):
            lamp = bus.find(CoverCalibrator)
            job = lamp.calibrator_on(0.5)
            assert await job.eta() == pytest.approx(10)
            await job
            assert bus.said(CoverCalibratorState)[-1].calibrator is CalibratorStatus.READY
            with pytest.raises(DeviceError, match="no cover"):
                await lamp.open_cover()

    run(use)


@pytest.mark.parametrize("name", ["write-a-module.md", "running-a-site.md", "site-file.md", "http-bus.md"])
def test_every_site_file_that_a_page_shows_is_one(name: str, page: Path) -> None:
    sites = _YAML.findall((DOCS / name).read_text(encoding="utf-8"))
    assert sites
    for text in sites:
        _, faults = parse_site(text, directory=page)
        assert not faults, text


def test_no_link_leads_nowhere() -> None:
    for path in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for link in _LINK.findall(path.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (path.parent / link).exists(), f"{path.name} links to {link}"
