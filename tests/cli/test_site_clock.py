"""The clock of a site over restarts, and the lock of its directory."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from pytel.base.clock import RealClock, ScaledClock
from pytel.base.errors import ConfigError
from pytel.base.location import Location
from pytel.base.lock import AlreadyRunning, directory_lock
from pytel.cli.site_clock import CLOCK, site_clock
from pytel.module.site import SiteInfo
from pytel.module.sitefile import SiteFile, TimeSection

START = datetime(2026, 6, 15, 16, 0, tzinfo=UTC)


def site(directory: Path, rate: float = 60.0) -> SiteFile:
    info = SiteInfo(name="here", location=Location(latitude=0, longitude=0), state_dir=directory)
    return SiteFile(info=info, time=TimeSection(mode="scaled", rate=rate, start=START))


def test_real_time_needs_no_file(tmp_path: Path) -> None:
    assert isinstance(site_clock(msgspec.structs.replace(site(tmp_path), time=TimeSection())), RealClock)
    assert not (tmp_path / CLOCK).exists()


def test_a_scaled_clock_goes_on_after_a_restart(tmp_path: Path) -> None:
    first = site_clock(site(tmp_path / "state"))
    second = site_clock(site(tmp_path / "state"))
    assert isinstance(first, ScaledClock)
    assert isinstance(second, ScaledClock)
    assert (first.site_epoch, first.real_epoch, first.rate) == (second.site_epoch, second.real_epoch, second.rate)
    assert 0 <= first.time() - START.timestamp() < 60


def test_another_rate_goes_on_from_where_site_time_is(tmp_path: Path) -> None:
    before = site_clock(site(tmp_path, rate=3600.0)).time()
    after = site_clock(site(tmp_path, rate=1.0))
    assert before <= after.time() < before + 3600
    assert after.rate == 1.0


def test_a_damaged_clock_is_named(tmp_path: Path) -> None:
    (tmp_path / CLOCK).write_text("{")
    with pytest.raises(ConfigError, match=r"clock\.json cannot be read"):
        site_clock(site(tmp_path))


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from pytel.base.lock import directory_lock\n"
        "with directory_lock(Path(sys.argv[1])): print('locked', flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "locked\n"
    with pytest.raises(AlreadyRunning, match=f"as process {process.pid}"), directory_lock(tmp_path):
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    process.stdin.close()
    with directory_lock(tmp_path):
        assert (tmp_path / "lock").read_text().strip().isdigit()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(ConfigError, match="cannot be used: Not a directory"),
        directory_lock(tmp_path / "file" / "state"),
    ):
        pass
