"""An image store does what its description says, and nothing that is made from that harms it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from description_kit import assert_whole, fuzz
from image_store_kit import Served
from pytel.archive.files import ImageDirectory
from pytel.archive.http.app import Rules, StoreApp
from pytel.archive.http.upload import UploadLimits


def test_every_route_is_described(tmp_path: Path) -> None:
    app = StoreApp(ImageDirectory(tmp_path, 2**20), Rules((), UploadLimits(2**20)), logging.getLogger("test"))
    assert_whole(app._described.document, app.asgi.routes)


@pytest.mark.slow
async def test_it_does_what_its_description_says(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    image = await served.put_image()
    seen = await fuzz(served.server.url, {"Authorization": f"Bearer {served.server.token}"}, [image])
    for what in ("", "/header", "/preview.{picture}", "/pixels"):
        assert {(f"GET /images/{{id}}{what}", status) for status in (200, 401, 404)} <= seen
    assert {status for label, status in seen if label == "POST /images"} > {401}
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
