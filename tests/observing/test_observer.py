from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pytel.base import clock
from pytel.base.errors import DeviceError, DeviceTimeout, JobLost, NotReady, StorageFull
from pytel.bus.contract import Topic
from pytel.interfaces.enclosure import Enclosure
from pytel.interfaces.notifier import Urgency
from pytel.interfaces.observer import ObserverState, ObserverStatus
from pytel.interfaces.safety import SafetyMonitor
from pytel.interfaces.tasks import TaskStatus, TaskStore
from pytel.observing.nightrun import ROOF
from pytel.observing.observer import RobotObserver
from pytel.observing.report import NightReport
from pytel.observing.status import StatusBoard
from pytel.observing.taskstore import SqlTaskStore
from pytel.services import Module

pytestmark = pytest.mark.slow


class FakeMonitor(Module, SafetyMonitor):
    """Says what cannot be understood."""

    def publish_anything(self, data: Any) -> None:
        self._runtime.bus.publish(Topic.parse("urn:pytel:state:SafetyMonitor:1"), data, clock.time())


Run = Callable[[Callable[[Any], Any]], Any]
HOUR = 3600.0
MORNING = datetime(2026, 3, 18, 4, 30, tzinfo=UTC).timestamp()
DUSK = 0.75 * HOUR  # after the start


async def begin(site: Any, **config: Any) -> None:
    await site.start_fakes()
    await site.start("tasks", SqlTaskStore, SqlTaskStore.Config(tasks="demo"))
    await site.start("observer", RobotObserver, RobotObserver.Config(**config))


def report(site: Any) -> NightReport:
    (path,) = Path(site.info.state_dir).glob("observer/*/night.json")
    return msgspec.json.decode(path.read_bytes(), type=NightReport)


async def until_morning(site: Any) -> NightReport:
    await clock.sleep_until(MORNING)
    return report(site)


def indices(night: NightReport) -> list[tuple[str, int]]:
    return [(exposure.task, exposure.index) for exposure in night.exposures]


def test_a_quiet_night(site: Run) -> None:
    async def scenario(site: Any) -> NightReport:
        await begin(site)
        night = await until_morning(site)
        tasks = await site.runtimes["observer"].module.find(TaskStore).list_tasks()
        assert sum(entry.status is TaskStatus.DONE for entry in tasks) >= 5
        return night

    night = site(scenario)
    assert len(night.exposures) > 100
    assert len(set(indices(night))) == len(night.exposures)
    assert night.open_shutter_fraction is not None
    assert night.open_shutter_fraction > 0.85
    assert night.clear_dark_time == night.dark_time > 7 * HOUR
    assert not night.errors
    assert 3 <= len(night.focus_runs) <= 7


def test_the_same_seed_gives_the_same_report(site: Run, tmp_path: Path) -> None:
    async def scenario(site: Any) -> bytes:
        await begin(site)
        return msgspec.json.encode(await until_morning(site))

    first = site(scenario)
    shutil.rmtree(tmp_path)
    assert site(scenario) == first


def test_bad_weather_in_an_exposure(site: Run) -> None:
    async def scenario(site: Any) -> NightReport:
        await begin(site)
        await clock.sleep(DUSK + 3 * HOUR)
        site.world.safe = False
        site.runtimes["safety"].module.speak()
        await clock.sleep(60)
        assert site.world.open_at[-1][1] == "closed"
        state = site.runtimes["tasks"].module.latest(ObserverState)
        assert state is not None
        assert state.status is ObserverStatus.WAITING_FOR_SAFETY
        await clock.sleep(HOUR)
        site.world.safe = True
        return await until_morning(site)

    night = site(scenario)
    assert len(set(indices(night))) == len(night.exposures) > 80
    assert night.dark_time - night.clear_dark_time > 0.95 * HOUR
    assert [lost.reason for lost in night.lost if lost.seconds > 600] == ["unsafe: rain"]


def test_a_silent_safety_monitor(site: Run) -> None:
    async def scenario(site: Any) -> NightReport:
        await begin(site)
        await clock.sleep(DUSK + 3 * HOUR)
        site.world.silent = True
        await clock.sleep(90)
        state = site.runtimes["tasks"].module.latest(ObserverState)
        assert state is not None
        assert state.status is ObserverStatus.WAITING_FOR_SAFETY
        site.world.silent = False
        return await until_morning(site)

    assert any("expired" in lost.reason for lost in site(scenario).lost)


def test_a_kill_in_the_night_loses_and_doubles_nothing(site: Run) -> None:
    async def scenario(site: Any) -> tuple[NightReport, list[tuple[str | None, int | None]]]:
        await begin(site)
        for _ in range(4):
            await clock.sleep(1.7 * HOUR)
            await site.crash("observer")
            await clock.sleep(30)
            await site.start("observer", RobotObserver)
        night = await until_morning(site)
        return night, [(image.task, image.exposure_index) for image in site.world.archive if image.task]

    night, archived = site(scenario)
    assert len(set(archived)) == len(archived) == len(night.exposures) > 100
    assert any(lost.reason == "the observer was not running" for lost in night.lost)


def test_who_starts_in_the_night_does_not_wait_for_dusk(site: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[ObserverStatus] = []
    show = StatusBoard.show

    def noted(board: StatusBoard, status: ObserverStatus, message: str = "", until: float | None = None) -> None:
        shown.append(status)
        show(board, status, message, until)

    async def scenario(site: Any) -> None:
        await begin(site)
        await clock.sleep(DUSK + 3 * HOUR)
        await site.crash("observer")
        monkeypatch.setattr(StatusBoard, "show", noted)
        await site.start("observer", RobotObserver)
        await clock.sleep(60)

    site(scenario)
    assert shown
    assert ObserverStatus.WAITING_FOR_DUSK not in shown


def test_a_camera_that_hangs_costs_the_task_a_while(site: Run) -> None:
    async def scenario(site: Any) -> NightReport:
        await begin(site)
        await clock.sleep(DUSK + 3 * HOUR)
        hang = DeviceTimeout("camera did not finish the exposure", device="camera")
        site.world.fail("expose", hang, hang, hang)
        return await until_morning(site)

    night = site(scenario)
    assert {error.device for error in night.errors} == {"camera"}
    assert any("camera" in lost.reason for lost in night.lost)
    assert len(night.exposures) > 100


def test_a_lost_answer_doubles_nothing(site: Run) -> None:
    async def scenario(site: Any) -> NightReport:
        await begin(site)
        await clock.sleep(DUSK + 3 * HOUR)
        site.world.fail("answer", JobLost("the camera restarted"), NotReady("the store is away"))
        return await until_morning(site)

    night = site(scenario)
    assert len(set(indices(night))) == len(night.exposures) > 100
    assert {error.name for error in night.errors} == {"JobLost", "NotReady"}


def test_a_telescope_that_is_stuck_once_is_parked_and_asked_again(site: Run) -> None:
    async def scenario(site: Any) -> NightReport:
        await begin(site)
        site.world.fail("slew", DeviceTimeout("mount is stuck", device="telescope"))
        return await until_morning(site)

    night = site(scenario)
    assert len(night.exposures) > 100


def test_a_roof_that_does_not_open_calls_a_person(site: Run) -> None:
    async def scenario(site: Any) -> NightReport:
        await begin(site)
        site.world.fail("open", *[DeviceError("roof is stuck", device="roof")] * 20)
        return await until_morning(site)

    night = site(scenario)
    assert night.errors[0].device == "roof"
    assert len(night.exposures) > 50


def test_a_roof_that_does_not_close_calls_a_person(site: Run) -> None:
    async def scenario(site: Any) -> list[tuple[Urgency, str]]:
        await begin(site)
        await clock.sleep(DUSK + 3 * HOUR)
        site.world.fail("close", *[DeviceError("roof is stuck", device="roof")] * 3)
        await until_morning(site)
        assert site.world.open_at[-1][1] == "closed"
        notices: list[tuple[Urgency, str]] = site.world.notices
        return notices

    assert Urgency.CALL in [urgency for urgency, _ in site(scenario)]


def test_a_roof_that_somebody_closes_is_waited_for_and_no_matter_for_a_person(site: Run) -> None:
    async def scenario(site: Any) -> Any:
        await begin(site)
        await clock.sleep(DUSK + 3 * HOUR)
        await site.runtimes["notifier"].module.find(Enclosure).close()
        await clock.sleep(300)
        assert site.world.open_at[-1][1] == "open"
        return site.world.notices

    assert site(scenario) == []


def test_a_roof_that_is_gone_in_bad_weather_calls_a_person(site: Run) -> None:
    async def scenario(site: Any) -> Any:
        await begin(site)
        await clock.sleep(DUSK + 3 * HOUR)
        await site.crash("roof")
        site.world.safe = False
        await clock.sleep(60)
        return site.world.notices

    assert (Urgency.CALL, ROOF) in site(scenario)


def test_without_what_is_required_the_robot_refuses_and_the_roof_stays_shut(site: Run) -> None:
    async def scenario(site: Any) -> bool:
        await begin(site)
        kind = type(site.runtimes["camera"].module)
        await site.crash("camera")
        await clock.sleep(DUSK + HOUR)
        assert "open" not in dict(site.world.open_at).values()
        await site.start("camera", kind)
        await clock.sleep(HOUR)
        return "open" in dict(site.world.open_at).values()

    assert site(scenario)


def test_a_robot_that_requires_nothing_is_refused(site: Run) -> None:
    async def scenario(site: Any) -> Any:
        await begin(site, required=())
        await clock.sleep(DUSK + 2 * HOUR)
        assert "open" not in dict(site.world.open_at).values()
        return site.world.notices

    assert (Urgency.WARNING, "Trouble while looking for what is required") in site(scenario)


def test_a_safety_monitor_that_cannot_be_understood_closes(site: Run) -> None:
    async def scenario(site: Any) -> Any:
        await begin(site)
        await clock.sleep(DUSK + 3 * HOUR)
        other = await site.start("other", FakeMonitor)
        other.publish_anything({"safe": "perhaps"})
        await clock.sleep(120)
        return site.world.open_at[-1][1]

    assert site(scenario) == "closed"


def test_a_full_disk_and_an_archive_that_is_away(site: Run) -> None:
    async def scenario(site: Any) -> NightReport:
        await begin(site)
        site.world.fail("archive", *[NotReady("the archive starts")] * 3)
        await clock.sleep(DUSK + 3 * HOUR)
        site.world.fail("expose", *[StorageFull("no room left")] * 3)
        return await until_morning(site)

    night = site(scenario)
    assert {error.name for error in night.errors} == {"NotReady", "StorageFull"}
    assert len(set(indices(night))) == len(night.exposures) > 100


def test_a_pause_outlives_a_restart(site: Run) -> None:
    async def scenario(site: Any) -> NightReport:
        await begin(site)
        await clock.sleep(DUSK + 3 * HOUR)
        await site.runtimes["observer"].module.pause("somebody is in the dome")
        await clock.sleep(10)
        await site.crash("observer")
        observer = await site.start("observer", RobotObserver)
        await clock.sleep(HOUR)
        before = len(site.world.archive)
        await clock.sleep(HOUR)
        assert len(site.world.archive) == before
        await observer.resume()
        return await until_morning(site)

    night = site(scenario)
    assert any(lost.reason == "paused: somebody is in the dome" for lost in night.lost)
    assert len(night.exposures) > 50
