"""How a lost link is got back."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from pytel.base.errors import ConnectionLost
from pytel.bus.xmpp.link import WRONG_PASSWORD_PAUSE, Link, Server
from pytel.bus.xmpp.stream import WrongPassword


async def test_a_wrong_password_is_tried_ever_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes: list[Exception | None] = [ConnectionLost("away")] * 5 + [WrongPassword("no")] * 10
    outcomes += [ConnectionLost("away"), None]
    slept: list[float] = []

    async def log_in() -> None:
        if (outcome := outcomes.pop(0)) is not None:
            raise outcome

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def nothing() -> str:
        return ""

    link = Link(
        Server(domain="pytel.test", host="127.0.0.1", port=1, ca=Path("ca.crt")),
        "echo",
        "module",
        nothing,
        inbound=lambda stanza: None,
        on_up=lambda: asyncio.sleep(0),
        on_down=lambda error: None,
    )
    monkeypatch.setattr(link, "_log_in", log_in)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    await link._log_in_again()
    monkeypatch.undo()
    assert slept[1:6] == [2.0] * 5  # a server that comes back is found soon
    assert slept[6:16] == [4.0, 8.0, 16.0, 32.0, *[WRONG_PASSWORD_PAUSE] * 6]
    assert slept[16:] == [2.0]
