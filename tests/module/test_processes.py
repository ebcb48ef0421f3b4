"""One process for each module: killed, crashing, hanging, and left alone by their supervisor."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from process_kit import HASTY, MINE, QUICK, SITE, Site, entry, is_alive, until
from pytel.base.errors import ConfigError, Conflict, NotFound
from pytel.module.kept_process import ProcessDied

pytestmark = pytest.mark.slow


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    with site.no_orphans():
        yield site


def lines(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == name]


async def test_each_module_has_a_process_but_those_that_share_one(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with site.running() as supervisor:
        entries = {entry.address: entry for entry in supervisor.entries()}
        assert {name: entry.status for name, entry in entries.items()} == {
            "roof": "ready", "camera": "ready", "focuser": "ready", "filters": "ready", "spare": None,
        }  # fmt: skip
        pids = {name: entry.pid for name, entry in entries.items()}
        assert pids["focuser"] == pids["filters"]
        assert len({pids["roof"], pids["camera"], pids["focuser"]}) == 3
        assert pids["spare"] is None
        assert os.getpid() not in pids.values()
        assert {str(address) for address in supervisor.running} == {"roof", "camera", "focuser", "filters"}
    assert "roof begins, closed" in lines(caplog, "pytel.roof")  # its configuration has come along
    assert not any(is_alive(pid) for pid in pids.values() if pid is not None)
    assert [note for note in site.notes() if note.endswith("ends")] == [
        "filters ends", "focuser ends", "camera ends", "roof ends",
    ]  # fmt: skip


async def test_a_module_starts_and_stops_alone_also_in_a_shared_process(site: Site) -> None:
    async with site.running() as supervisor:
        shared = entry(supervisor, "focuser").pid
        await supervisor.stop_module("filters")
        assert entry(supervisor, "filters").status is None
        assert entry(supervisor, "focuser").pid == shared
        await supervisor.start_module("filters")
        assert entry(supervisor, "filters").pid == shared
        await supervisor.restart_module("camera")
        assert len(set(site.pids_of("camera"))) == 2
        await supervisor.start_module("spare")
        await supervisor.start_module("spare")
        assert entry(supervisor, "spare").status == "ready"
        assert len(site.pids_of("spare")) == 1
        await supervisor.stop_module("focuser")
        await supervisor.stop_module("filters")
        assert shared is not None
        assert not is_alive(shared)
        await supervisor.stop_module("filters")
        with pytest.raises(NotFound, match="it has camera, filters"):
            await supervisor.stop_module("flters")


@pytest.mark.parametrize("module", ["roof", "camera", "filters"])
async def test_a_killed_process_comes_back(site: Site, module: str, caplog: pytest.LogCaptureFixture) -> None:
    async with site.running() as supervisor:
        pid = entry(supervisor, module).pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: len(site.pids_of(module)) == 2 and entry(supervisor, module).status == "ready")
        assert entry(supervisor, module).pid not in (None, pid)
        assert entry(supervisor, module).restarts == 1
        others = [name for name in ("roof", "camera") if name != module]
        assert all(entry(supervisor, name).restarts == 0 for name in others)
    assert any("killed by SIGKILL" in line for line in lines(caplog, "pytel.site"))


async def test_one_that_crashes_again_and_again_is_given_time(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.order("camera", "start", "exit")
    patience = msgspec.structs.replace(QUICK, first_pause=0.1)
    async with site.running("camera", "roof", patience=patience) as supervisor:
        assert entry(supervisor, "roof").status == "ready"
        await until(lambda: entry(supervisor, "camera").restarts >= 3)
        assert entry(supervisor, "camera").status == "error"
        assert "ended with status 3" in str(entry(supervisor, "camera").error)
        pauses = [
            float(line.rpartition("in ")[2].removesuffix(" s"))
            for line in lines(caplog, "pytel.site")
            if "again in" in line
        ]
        assert all(0.05 < pause <= 0.5 for pause in pauses)
        assert pauses[2] > pauses[0]
        with pytest.raises(ProcessDied, match="ended with status 3"):
            await supervisor.start_module("camera")
        site.order("camera", "start", None)
        await until(lambda: entry(supervisor, "camera").status == "ready")
        assert entry(supervisor, "camera").error is None


@pytest.mark.slow
async def test_one_that_hangs_is_replaced_and_tells_where_it_stood(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    async with site.running("camera", "roof", patience=HASTY) as supervisor:
        before = entry(supervisor, "camera").pid
        site.order("camera", "now", "hang")
        await until(lambda: len(site.pids_of("camera")) == 2 and entry(supervisor, "camera").status == "ready")
        assert entry(supervisor, "camera").pid != before
        assert entry(supervisor, "roof").restarts == 0
    told = "\n".join(lines(caplog, "pytel.camera"))
    assert "Fatal Python error: Aborted" in told
    assert "mine.py" in told
    assert "in _obey" in told


@pytest.mark.slow
async def test_one_that_cannot_even_be_aborted_is_killed(site: Site) -> None:
    async with site.running("camera", patience=HASTY) as supervisor:
        pid = entry(supervisor, "camera").pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: len(site.pids_of("camera")) == 2 and entry(supervisor, "camera").status == "ready")


@pytest.mark.parametrize(
    ("order", "error", "words"),
    [("config", ConfigError, "port: /dev/ttyS0"), ("conflict", Conflict, "another copy runs")],
)
async def test_what_only_a_person_can_mend_is_shown_and_not_tried_again(
    site: Site, order: str, error: type[Exception], words: str
) -> None:
    site.order("camera", "start", order)
    site.order("filters", "start", order)
    async with site.running("camera", "focuser", "filters") as supervisor:
        for module in ("camera", "filters"):
            assert words in str(entry(supervisor, module).error)
            with pytest.raises(error, match=words):
                await supervisor.start_module(module)
        assert not entry(supervisor, "camera").running
        assert entry(supervisor, "camera").pid is None
        assert entry(supervisor, "camera").restarts == 0
        assert entry(supervisor, "focuser").status == "ready"
        for module in ("camera", "filters"):
            site.order(module, "start", None)
            await supervisor.start_module(module)
            assert entry(supervisor, module).status == "ready"
            assert entry(supervisor, module).error is None


async def test_a_device_that_is_not_there_yet_is_no_fault_of_the_process(site: Site) -> None:
    site.order("camera", "start", "raise")
    async with site.running("camera") as supervisor:
        assert entry(supervisor, "camera").status == "starting"
        assert "the cable is loose" in str(entry(supervisor, "camera").error)
        site.order("camera", "start", None)
        await until(lambda: entry(supervisor, "camera").status == "ready")
        assert len(set(site.pids_of("camera"))) == 1


async def test_one_that_does_not_end_is_killed_in_the_end(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    (site.folder / "mine.py").write_text(MINE + "\n    stop_deadline = 0.2\n")
    site.order("roof", "stop", "hang")
    patience = msgspec.structs.replace(QUICK, margin=0.5)
    async with site.running("roof", "camera", patience=patience) as supervisor:
        pid = entry(supervisor, "roof").pid
    assert pid is not None
    assert not is_alive(pid)
    assert "camera ends" in site.notes()
    assert any("roof did not end" in line for line in lines(caplog, "pytel.site"))


@pytest.mark.slow
async def test_one_in_a_shared_process_that_does_not_stop_is_put_out_of_it(site: Site) -> None:
    site.order("filters", "stop", "hang")
    patience = msgspec.structs.replace(QUICK, silence=3.0)
    async with site.running("focuser", "filters", patience=patience) as supervisor:
        await supervisor.stop_module("filters")
        await until(lambda: len(site.pids_of("focuser")) == 2 and entry(supervisor, "focuser").status == "ready")
        assert entry(supervisor, "filters").status is None


async def test_a_start_waits_for_the_stop_before_it(site: Site) -> None:
    site.order("camera", "stop", "linger")
    async with site.running("camera") as supervisor:
        stopping = asyncio.create_task(supervisor.stop_module("camera"))
        await until(lambda: entry(supervisor, "camera").status == "closing")
        await supervisor.start_module("camera")
        assert stopping.done()
        assert entry(supervisor, "camera").status == "ready"
        assert entry(supervisor, "camera").restarts == 0
        assert len(set(site.pids_of("camera"))) == 2


# logs


async def test_what_they_write_is_in_the_log_whoever_writes_it(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with site.running("camera"):
        site.order("camera", "now", "print")
        await until(lambda: any("told on stderr" in line for line in lines(caplog, "pytel.camera")))
        assert any("printed by hand" in line for line in lines(caplog, "pytel.camera"))
        site.order("camera", "now", "die talking")
        await until(lambda: len(site.pids_of("camera")) == 2)
    told = [record for record in caplog.records if record.name == "pytel.camera"]
    assert any(record.levelname == "ERROR" and record.getMessage() == "the last words" for record in told)
    assert any(record.levelname == "ERROR" and record.getMessage().endswith("KeyError: 'lens'") for record in told)
    assert any("has died: it ended with status 1 (KeyError: 'lens')" in line for line in lines(caplog, "pytel.site"))


async def test_a_flood_is_cut_and_counted(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with site.running("camera") as supervisor:
        site.order("camera", "now", "flood")
        await until(lambda: not (site.state / "camera.now").exists())
        await asyncio.sleep(1.0)
        site.order("camera", "now", "print")
        await until(lambda: any("told on stderr" in line for line in lines(caplog, "pytel.camera")))
        await supervisor.stop_module("camera")
    told = [record.getMessage() for record in caplog.records]
    assert 1000 < sum(line.startswith("line ") for line in told) < 4000
    assert any("left out" in line for line in told)


# supervisors that come and go

SUPERVISE = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
from process_kit import HASTY, Site
from pathlib import Path

async def main(site):
    await site.supervisor(HASTY).start()
    print("started", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main(Site(Path(sys.argv[2]))))
"""


def start_supervisor(site: Site) -> subprocess.Popen[str]:
    """A supervisor in a process of its own, all of whose modules run."""
    command = [sys.executable, "-c", SUPERVISE, str(Path(__file__).parents[1]), str(site.folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


@pytest.fixture
def orphans(site: Site) -> Site:
    """A site whose supervisor was killed."""
    kill(start_supervisor(site))
    return site


async def test_modules_outlive_their_supervisor_and_the_next_one_takes_them_over(
    orphans: Site, caplog: pytest.LogCaptureFixture
) -> None:
    pids = {module: orphans.pids_of(module)[-1] for module in ("roof", "camera", "focuser", "filters")}
    assert all(is_alive(pid) for pid in pids.values())
    log = orphans.state / "log" / "pytel.log"
    await until(lambda: log.exists() and log.read_text().count("the supervisor is gone") == 3)
    orphans.order("camera", "now", "print")
    await until(lambda: "told on stderr" in log.read_text())  # nothing is lost meanwhile
    assert "<4>" not in log.read_text()
    async with orphans.running() as supervisor:
        assert {module: entry(supervisor, module).pid for module in pids} == pids
        assert entry(supervisor, "filters").status == "ready"
        orphans.order("camera", "now", "print")
        await until(lambda: any("told on stderr" in line for line in lines(caplog, "pytel.camera")))
        os.kill(pids["roof"], signal.SIGKILL)
        await until(lambda: entry(supervisor, "roof").pid not in (None, pids["roof"]))
    assert not any(is_alive(pid) for pid in pids.values())
    assert "camera ends" in orphans.notes()


async def test_a_supervisor_with_another_site_file_replaces_what_runs(orphans: Site, tmp_path: Path) -> None:
    pids = {module: orphans.pids_of(module)[-1] for module in ("roof", "camera", "focuser", "filters")}
    changed = SITE.replace("word: closed", "word: shut").replace("optics: [focuser, filters]", "lenses: [focuser]")
    site = await asyncio.to_thread(Site, tmp_path, changed)
    async with site.running() as supervisor:
        assert entry(supervisor, "camera").pid == pids["camera"]  # nothing has changed for it
        for module in ("roof", "focuser", "filters"):
            await until(lambda module=module: entry(supervisor, module).status == "ready")  # type: ignore[misc]
            assert entry(supervisor, module).pid != pids[module]
            assert not is_alive(pids[module])
            assert f"{module} ends" in site.notes()


@pytest.mark.slow
async def test_one_that_hangs_meanwhile_is_replaced_too(orphans: Site) -> None:
    pid = orphans.pids_of("camera")[-1]
    os.kill(pid, signal.SIGSTOP)
    async with orphans.running(patience=HASTY) as supervisor:
        await until(lambda: entry(supervisor, "camera").status == "ready")
        assert entry(supervisor, "camera").pid != pid
        assert not is_alive(pid)


async def test_what_was_started_by_hand_goes_on_under_the_next_supervisor(orphans: Site) -> None:
    async with orphans.running("camera") as supervisor:  # which wants less than what runs
        await until(lambda: entry(supervisor, "roof").status == "ready")
        assert entry(supervisor, "roof").running


@pytest.mark.slow
async def test_a_supervisor_that_stood_still_takes_nobody_for_dead(site: Site) -> None:
    process = await asyncio.to_thread(start_supervisor, site)
    pid = site.pids_of("camera")[-1]
    process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(HASTY.silence + 1.0)
    process.send_signal(signal.SIGCONT)
    await asyncio.sleep(1.0)
    assert is_alive(pid)
    await asyncio.to_thread(kill, process)
