"""How a lost link is got back."""

from __future__ import annotations

import asyncio
import itertools
import random
from pathlib import Path

import pytest

from pytel.base.errors import ConnectionLost
from pytel.bus.xmpp.link import WRONG_PASSWORD_PAUSE, Link, Server
from pytel.bus.xmpp.stream import WrongPassword


async def test_a_wrong_password_is_tried_ever_more_seldom_and_another_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = ["old"]
    tried: list[tuple[str, float]] = []
    now = 0.0

    async def password() -> str:
        return passwords[0]

    async def log_in() -> None:
        tried.append((passwords[0], now))
        if passwords[0] == "right":
            return
        raise ConnectionLost("away") if len(tried) <= 5 else WrongPassword("no")

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        if now > 500.0:
            passwords[0] = "right"

    link = Link(
        Server(domain="pytel.test", host="127.0.0.1", port=1, ca=Path("ca.crt")),
        "echo",
        "module",
        password,
        inbound=lambda stanza: None,
        on_up=lambda: asyncio.sleep(0),
        on_down=lambda error: None,
    )
    monkeypatch.setattr(link, "_log_in", log_in)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr(random, "uniform", lambda low, high: high)
    await link._log_in_again()
    monkeypatch.undo()
    pauses = [later - earlier for (_, earlier), (_, later) in itertools.pairwise(tried)]
    assert pauses[:5] == [2.0] * 5  # a server that comes back is found soon
    assert pauses[5:12] == [3.0, 4.0, 6.0, 10.0, 18.0, 34.0, 2.0 + WRONG_PASSWORD_PAUSE]
    assert tried[-1][0] == "right"
    assert tried[-1][1] < 504.0
