"""The buses that are held to the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

from bus.harness import BusHarness, LocalHarness
from bus.http_harness import HttpHarness
from bus.xmpp_harness import XmppHarness

HARNESSES: dict[str, Callable[[Path], BusHarness]] = {
    "local": LocalHarness,
    "http": HttpHarness,
    "xmpp-prosody": partial(XmppHarness, kind="prosody", wire="json"),
    "xmpp-prosody-xep-0009": partial(XmppHarness, kind="prosody", wire="xep-0009"),
    "xmpp-ejabberd": partial(XmppHarness, kind="ejabberd", wire="json"),
    "xmpp-ejabberd-xep-0009": partial(XmppHarness, kind="ejabberd", wire="xep-0009"),
}
BUSES = [pytest.param(name, marks=() if name in ("local", "http") else pytest.mark.slow) for name in HARNESSES]


@pytest.fixture(params=BUSES)
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BusHarness]:
    harness = HARNESSES[request.param](tmp_path)
    await harness.prepare()
    yield harness
    await harness.close()
