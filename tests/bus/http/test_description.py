"""A module does over HTTP what its description says, and nothing that is made from that harms it."""

from __future__ import annotations

import pytest

from bus.cast import WorkerModule
from bus.http.http_kit import PASSWORDS, HttpSite, basic
from description_kit import assert_whole, fuzz
from pytel.bus.address import Address
from pytel.bus.http.app import make_app


async def test_every_route_is_described(http_site: HttpSite) -> None:
    await http_site.start(WorkerModule, "worker")
    app = make_app(http_site.bus_of("worker"))
    surface = app.routes[0].endpoint.__self__  # type: ignore[attr-defined]
    assert_whole(surface.described.document, app.routes)


@pytest.mark.slow
async def test_it_does_what_its_description_says(http_site: HttpSite, caplog: pytest.LogCaptureFixture) -> None:
    await http_site.start(WorkerModule, "worker")
    seen = await fuzz(http_site.url(Address("worker")), {"Authorization": basic("otto", PASSWORDS["otto"])})
    assert {("GET /card", 200), ("GET /events", 200), ("POST /rpc", 200), ("GET /state", 401)} <= seen
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
