from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytel.archive.tree import image_path
from pytel.base.errors import InvalidParams

ROOT = Path("/archive")
START = datetime(2026, 11, 22, 20, 30, 15, tzinfo=UTC)
IMAGE = "01ABCDEFGHJKMNPQRSTVWXYZ00"


def test_a_path_tells_night_camera_time_type_and_id() -> None:
    start = START.astimezone(timezone(timedelta(hours=-4)))
    path = image_path(ROOT, date(2026, 11, 22), "camera", "object", start, IMAGE)
    assert path == ROOT / "2026-11-22" / f"camera-20261122T203015-object-{IMAGE}.fits"
    packed = image_path(ROOT, date(2026, 11, 22), "camera", "object", start, IMAGE, compressed=True)
    assert packed.name.endswith(".fits.fz")


@given(camera=st.text(), frame_type=st.text())
def test_no_name_leads_out_of_the_archive(camera: str, frame_type: str) -> None:
    path = image_path(ROOT, date(2026, 11, 22), camera, frame_type, START, IMAGE)
    assert path.parent == ROOT / "2026-11-22"
    assert len(path.name.encode()) < 255
    assert "/" not in path.name
    assert "\0" not in path.name


@pytest.mark.parametrize("image", ["", "../../etc/passwd", "01abc", IMAGE + "0"])
def test_what_is_no_id_is_refused(image: str) -> None:
    with pytest.raises(InvalidParams, match="id"):
        image_path(ROOT, date(2026, 11, 22), "camera", "object", START, image)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(InvalidParams, match="zone"):
        image_path(ROOT, date(2026, 11, 22), "camera", "object", START.replace(tzinfo=None), IMAGE)
