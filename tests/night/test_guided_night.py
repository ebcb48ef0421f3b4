"""Guiding and acquisition at the simulated telescope, in the course of a night in which things go wrong."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from night.guiding_kit import OTHER, TARGET, expose, guided_site, open_site, point, pointings, push, status
from pytel.base import clock
from pytel.base.errors import PytelError
from pytel.base.threads import in_thread
from pytel.imaging.fits import read_header
from pytel.interfaces import (
    Acquisition,
    AcquisitionFailed,
    AutoGuider,
    AutoGuiderState,
    AutoGuiderStatus,
    FieldNotSolved,
    GuideCorrected,
    ImageArchive,
    ImageStore,
    NewImage,
    TaskStore,
    Telescope,
    TelescopeState,
    TelescopeStatus,
)
from pytel.interfaces.images import FrameType
from pytel.sky.sphere import separation
from pytel.testing import Observatory, on_virtual_clock

pytestmark = pytest.mark.slow

GUIDER = {"guider": {"type": "science-frame-guider"}}
ACQUISITION = {"acquisition": {"type": "plate-solving-acquisition"}}
DRIFTS = {"drift": 60.0, "periodic_error": 0.0}
"""An arcsecond per minute."""
WITHOUT_SETTLING = {"settle_time": 0.0}
"""So that a push by hand is over before the mount can tell that it moves."""


def spread(places: np.ndarray[Any, Any]) -> float:
    """Largest distance from the first of some pointings, arcsec."""
    return float(np.hypot(*(places - places[0]).T).max())


@on_virtual_clock()
async def test_a_guider_started_in_mid_night_takes_effect_and_stopped_the_night_goes_on() -> None:
    site = guided_site({"guider": {"type": "science-frame-guider", "autostart": False}}, telescope=DRIFTS)
    async with open_site(site) as observatory:
        await point(observatory)
        await expose(observatory, 4)
        await observatory.start("guider")
        await expose(observatory, 10)
        assert status(observatory) is AutoGuiderStatus.GUIDING
        guided = len(observatory.heard(GuideCorrected))
        assert guided >= 6
        await observatory.stop("guider")
        await expose(observatory, 4)
        assert len(observatory.heard(GuideCorrected)) == guided
        places = pointings(observatory)
        assert spread(places[:4]) > 1.2
        assert spread(places[9:14]) < 0.3
        assert spread(places[14:]) > 1.2


@on_virtual_clock()
async def test_the_header_tells_how_it_was_guided() -> None:
    async with open_site(guided_site(GUIDER, telescope=DRIFTS)) as observatory:
        await point(observatory)
        frames = await expose(observatory, 6)
        directory = await observatory.find(ImageStore).shared_directory()
        headers = [await in_thread(read_header, Path(directory.path) / f"{frame.id}.fits") for frame in frames]
    first, last = headers[0], headers[-1]
    assert first["GUIDSTAT"] == "waiting"
    assert "GUIDREF" not in first
    assert last["GUIDSTAT"] == "guiding"
    assert last["GUIDREF"] == frames[0].id
    assert last["GUIDFRMS"] == 4
    corrections, rms, largest = (float(last[keyword] or 0) for keyword in ("GUIDNUM", "GUIDRMSR", "GUIDMAX"))
    assert corrections >= 3
    assert 0 < rms < 2
    assert largest >= rms


@on_virtual_clock()
async def test_a_jump_of_three_arcseconds_is_brought_back() -> None:
    async with open_site(guided_site(GUIDER, telescope=WITHOUT_SETTLING)) as observatory:
        await point(observatory)
        await expose(observatory, 8)
        await push(observatory, 3.0, 0.0)
        await expose(observatory, 6)
        places = pointings(observatory)
        assert np.hypot(*(places[8] - places[7])) > 2.0
        assert np.hypot(*(places[-1] - places[0])) < 0.8


@on_virtual_clock()
async def test_what_was_moved_on_purpose_is_not_undone() -> None:
    async with open_site(guided_site(GUIDER, telescope=DRIFTS)) as observatory:
        await point(observatory)
        await expose(observatory, 6)
        reference = observatory.state(AutoGuiderState).reference
        for dither in ((12.0, 0.0), (-6.0, 9.0)):
            await observatory.find(Telescope, deadline=60).offset_radec(*dither)
            await expose(observatory, 3)
        places = pointings(observatory)
        assert places[-1] - places[5] == pytest.approx(np.array([6.0, 9.0]), abs=0.3)
        assert observatory.state(AutoGuiderState).reference == reference
        assert observatory.state(TelescopeState).offset_ra == 6.0


@on_virtual_clock()
async def test_each_target_has_its_reference() -> None:
    async with open_site(guided_site(GUIDER)) as observatory:
        references = []
        for target in (TARGET, OTHER, OTHER):
            await point(observatory, target)
            assert status(observatory) is AutoGuiderStatus.WAITING
            frames = await expose(observatory, 3)
            assert status(observatory) is AutoGuiderStatus.GUIDING
            references.append(observatory.state(AutoGuiderState).reference)
            assert references[-1] == frames[0].id
        assert len(set(references)) == 3
        await observatory.find(Telescope, deadline=300).park()
        await observatory.until(lambda: status(observatory) is AutoGuiderStatus.WAITING, 60)


@on_virtual_clock()
async def test_behind_clouds_the_field_is_lost_and_found_again() -> None:
    async with open_site(guided_site(GUIDER)) as observatory:
        await point(observatory)
        await expose(observatory, 8)
        reference = observatory.state(AutoGuiderState).reference
        await observatory.inject("weather", "weather", value={"cloud_extinction": 12.0})
        await expose(observatory, 3)
        lost = observatory.state(AutoGuiderState)
        assert lost.status is AutoGuiderStatus.LOST
        assert lost.message
        await clock.sleep(1200)
        corrections = len(observatory.heard(GuideCorrected))
        await expose(observatory, 2)
        assert len(observatory.heard(GuideCorrected)) == corrections
        await observatory.clear()
        await expose(observatory, 3)
        found = observatory.state(AutoGuiderState)
        assert (found.status, found.reference, found.message) == (AutoGuiderStatus.GUIDING, reference, "")
        places = pointings(observatory)
        assert np.hypot(*(places[-1] - places[0])) < 0.8


@on_virtual_clock()
async def test_a_reference_behind_clouds_gives_way_to_one_with_stars() -> None:
    async with open_site(guided_site(GUIDER)) as observatory:
        await observatory.inject("weather", "weather", value={"cloud_extinction": 12.0})
        await point(observatory)
        await expose(observatory, 2)
        await observatory.clear()
        frames = await expose(observatory, 6)
        now = observatory.state(AutoGuiderState)
        assert now.status is AutoGuiderStatus.GUIDING
        assert now.reference in [frame.id for frame in frames]


@on_virtual_clock()
async def test_a_field_that_is_far_away_is_not_followed() -> None:
    async with open_site(guided_site(GUIDER, telescope=WITHOUT_SETTLING)) as observatory:
        await point(observatory)
        await expose(observatory, 5)
        await push(observatory, 0.0, 50.0)
        await expose(observatory, 3)
        assert status(observatory) is AutoGuiderStatus.LOST
        assert "off" in observatory.state(AutoGuiderState).message
        await push(observatory, 0.0, -45.0)
        await expose(observatory, 3)
        assert status(observatory) is AutoGuiderStatus.GUIDING
        places = pointings(observatory)
        assert np.hypot(*(places[-1] - places[0])) < 1.0


@on_virtual_clock()
async def test_a_telescope_that_is_stuck_is_waited_for() -> None:
    async with open_site(guided_site(GUIDER)) as observatory:
        await point(observatory)
        await expose(observatory, 4)
        await observatory.inject("mount", "stuck")
        await expose(observatory, 2)
        assert status(observatory) is AutoGuiderStatus.WAITING
        await observatory.clear()
        await point(observatory)
        await expose(observatory, 3)
        assert status(observatory) is AutoGuiderStatus.GUIDING


@on_virtual_clock()
async def test_a_telescope_that_does_not_answer_is_an_alarm_until_it_does() -> None:
    async with open_site(guided_site(GUIDER, telescope=DRIFTS)) as observatory:
        await point(observatory)
        await expose(observatory, 6)
        reference = observatory.state(AutoGuiderState).reference
        await observatory.inject("mount", "silent", duration=40.0)
        await clock.sleep(60.0)
        await expose(observatory, 4)
        now = observatory.state(AutoGuiderState)
        assert (now.status, now.reference) == (AutoGuiderStatus.GUIDING, reference)
        places = pointings(observatory)
        assert np.hypot(*(places[-1] - places[4])) < 0.5


@on_virtual_clock()
async def test_a_camera_that_dies_and_comes_back_keeps_the_reference() -> None:
    async with open_site(guided_site(GUIDER)) as observatory:
        await point(observatory)
        await expose(observatory, 4)
        reference = observatory.state(AutoGuiderState).reference
        await observatory.crash("camera")
        await clock.sleep(30.0)
        await observatory.restart("camera")
        await expose(observatory, 3)
        now = observatory.state(AutoGuiderState)
        assert (now.status, now.reference) == (AutoGuiderStatus.GUIDING, reference)


@on_virtual_clock()
async def test_it_can_be_told_to_stop_to_start_and_to_take_a_new_reference() -> None:
    async with open_site(guided_site({"guider": {"type": "science-frame-guider", "active": False}})) as observatory:
        await point(observatory)
        await expose(observatory, 3)
        assert status(observatory) is AutoGuiderStatus.OFF
        guider = observatory.find(AutoGuider)
        await guider.start_guiding()
        first = (await expose(observatory, 3))[0]
        assert observatory.state(AutoGuiderState).reference == first.id
        await guider.new_reference()
        second = (await expose(observatory, 2))[0]
        assert observatory.state(AutoGuiderState).reference == second.id
        await guider.stop_guiding()
        before = len(observatory.heard(GuideCorrected))
        await expose(observatory, 2)
        assert status(observatory) is AutoGuiderStatus.OFF
        assert len(observatory.heard(GuideCorrected)) == before


@on_virtual_clock()
@pytest.mark.parametrize("camera", [{"rotation": 137.0}, {"rotation": 250.0, "flip": True}])
async def test_however_the_camera_is_turned_it_guides(camera: dict[str, Any]) -> None:
    async with open_site(guided_site(GUIDER, camera=camera, telescope=DRIFTS)) as observatory:
        await point(observatory)
        await expose(observatory, 9)
        assert spread(pointings(observatory)[5:]) < 0.3


@on_virtual_clock()
async def test_a_camera_that_does_not_know_how_it_is_turned_is_found_out_by_the_stars() -> None:
    site = guided_site(GUIDER, camera={"rotation": 180.0}, telescope=DRIFTS)
    site["modules"]["camera"] = {"type": "simulated-camera", "rotation": 0.5}
    async with open_site(site) as observatory:
        await point(observatory)
        await expose(observatory, 9)
        assert spread(pointings(observatory)[5:]) < 0.3


@on_virtual_clock()
async def test_a_guide_camera_guides_between_no_frames_at_all() -> None:
    guider = {"guider": {"type": "guide-camera-guider", "uses": {"Camera": "camera"}, "exposure_time": "4 s"}}
    async with open_site(guided_site(guider, telescope=DRIFTS)) as observatory:
        await point(observatory)
        await clock.sleep(600.0)
        assert status(observatory) is AutoGuiderStatus.GUIDING
        places = pointings(observatory)
        assert len(places) > 50
        assert spread(places[20:]) < 0.5
        assert not observatory.heard(NewImage)
        kept = await observatory.find(ImageStore).list_images(unreleased=True)
        assert len(kept) <= 1
        await observatory.crash("camera")
        await clock.sleep(60.0)
        await observatory.restart("camera")
        await clock.sleep(60.0)
        assert status(observatory) is AutoGuiderStatus.GUIDING
        await observatory.find(Telescope, deadline=300).park()
        await observatory.until(lambda: status(observatory) is AutoGuiderStatus.WAITING, 60)
        taken = len(pointings(observatory))
        await clock.sleep(120.0)
        assert len(pointings(observatory)) <= taken + 1


# acquisition


async def distance_of(observatory: Observatory, target: tuple[float, float]) -> float:
    """How far the last frame really pointed from a target, arcsec."""
    lines = (observatory.site.info.state_dir / "world" / "truth.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    return float(separation(last["ra"], last["dec"], *target)) * 3600


@on_virtual_clock()
async def test_a_target_is_brought_to_the_middle() -> None:
    async with open_site(guided_site(ACQUISITION)) as observatory:
        await point(observatory)
        result = await observatory.find(Acquisition, deadline=600).acquire(*TARGET)
        assert await distance_of(observatory, TARGET) < 1.0
        assert result.distance < 1.0
        assert result.attempts <= 3
        assert [image.frame_type for image in observatory.heard(NewImage)] == [FrameType.ACQUISITION] * result.attempts
        assert result.image == observatory.heard(NewImage)[-1].image.id
        assert result.x == pytest.approx(255.5, abs=0.7)


@on_virtual_clock()
async def test_a_target_that_is_far_off_is_slewed_to_again() -> None:
    site = guided_site({"acquisition": {"type": "plate-solving-acquisition", "slew_beyond": 300.0}})
    async with open_site(site) as observatory:
        await point(observatory, (TARGET[0] + 0.2, TARGET[1] - 0.15))
        result = await observatory.find(Acquisition, deadline=600).acquire(*TARGET)
        assert result.attempts <= 4
        assert await distance_of(observatory, TARGET) < 1.0
        assert observatory.state(TelescopeState).target_ra != pytest.approx(TARGET[0] + 0.2)


@on_virtual_clock()
async def test_behind_clouds_no_field_is_solved() -> None:
    async with open_site(guided_site(ACQUISITION)) as observatory:
        await point(observatory)
        await observatory.inject("weather", "weather", value={"cloud_extinction": 12.0})
        with pytest.raises(FieldNotSolved, match="clouds") as failure:
            await observatory.find(Acquisition, deadline=600).acquire(*TARGET)
        assert failure.value.data["attempts"] == 2
        assert failure.value.data["image"] == observatory.heard(NewImage)[-1].image.id
        assert [image.exposure_time for image in observatory.heard(NewImage)] == [5.0, 10.0]


@on_virtual_clock()
async def test_a_wrong_field_is_not_solved() -> None:
    async with open_site(guided_site(ACQUISITION)) as observatory:
        await point(observatory, OTHER)
        with pytest.raises(FieldNotSolved) as failure:
            await observatory.find(Acquisition, deadline=600).acquire(*TARGET)
        assert failure.value.data["image"]
        assert isinstance(failure.value, AcquisitionFailed)
        assert observatory.state(TelescopeState).status is TelescopeStatus.TRACKING


@on_virtual_clock()
async def test_a_telescope_that_does_not_follow_fails_with_the_last_distance() -> None:
    site = guided_site({"acquisition": {"type": "plate-solving-acquisition", "exposures": 2}})
    async with open_site(site) as observatory:
        await point(observatory)
        with pytest.raises(AcquisitionFailed, match="after 2 exposures") as failure:
            await observatory.find(Acquisition, deadline=600).acquire(*TARGET, tolerance=0.001)
        assert failure.value.data["attempts"] == 2
        assert 0.001 < failure.value.data["distance"] < 1.0
        assert failure.value.data["image"]


@on_virtual_clock()
async def test_a_camera_that_fails_ends_an_acquisition_with_its_error() -> None:
    async with open_site(guided_site(ACQUISITION)) as observatory:
        await point(observatory)
        await observatory.inject("camera", "hang")
        with pytest.raises(PytelError) as failure:
            await observatory.find(Acquisition, deadline=600).acquire(*TARGET)
        assert failure.value.name == "DeviceTimeout"


# the robot


@on_virtual_clock()
async def test_the_robot_acquires_its_targets_and_the_guider_holds_them() -> None:
    async with open_site(guided_site(GUIDER | ACQUISITION)) as observatory:
        await observatory.start("observer")
        science = [image for image in observatory.heard(NewImage) if image.frame_type is FrameType.OBJECT]
        await clock.sleep(3 * 3600)
        science = [image for image in observatory.heard(NewImage) if image.frame_type is FrameType.OBJECT]
        acquired = [image for image in observatory.heard(NewImage) if image.frame_type is FrameType.ACQUISITION]
        assert len(science) > 20
        assert len(acquired) >= 4
        archived = await observatory.find(ImageArchive).find_images()
        assert {image.image.id for image in science[:-1]} <= {image.id for image in archived}
        assert len(observatory.heard(GuideCorrected)) > 10


@on_virtual_clock()
async def test_the_robot_postpones_what_it_cannot_acquire() -> None:
    async with open_site(guided_site(ACQUISITION)) as observatory:
        await observatory.inject("weather", "weather", value={"cloud_extinction": 12.0})
        await observatory.start("observer")
        await clock.sleep(1800)
        entries = await observatory.find(TaskStore).list_tasks()
        reasons = [entry.reason for entry in entries if entry.reason]
        assert any("nobody knows where the telescope points" in reason for reason in reasons)
        assert not [image for image in observatory.heard(NewImage) if image.frame_type is FrameType.OBJECT]
        await observatory.clear()
        await clock.sleep(3600)
        assert [image for image in observatory.heard(NewImage) if image.frame_type is FrameType.OBJECT]
        assert math.isfinite(await distance_of(observatory, TARGET))
