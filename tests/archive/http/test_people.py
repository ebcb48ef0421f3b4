"""People at the store: their passwords and tokens, and what they may do."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from image_store_kit import Served, frame_bytes
from pytel.archive.files import ImageDirectory
from pytel.archive.http.people import PeopleAuthenticator
from pytel.archive.http.server import HttpSettings, ImageServer
from pytel.base.errors import ConnectionLost
from pytel.base.threads import in_thread
from pytel.bus import attempts
from pytel.bus.contract import Role
from pytel.bus.people import AccountsFile, add_account, add_token, remove_account

PASSWORD = "correct horse"


class Elsewhere:
    """Somebody who knows one more person."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.is_there = True

    async def check(self, name: str, password: str) -> Role | None:
        self.asked.append((name, password))
        if not self.is_there:
            raise ConnectionLost("the server of accounts is away")
        return Role.OBSERVER if (name, password) == ("otto", "his own") else None


@pytest.fixture
def accounts(tmp_path: Path) -> Path:
    path = tmp_path / "gateway" / "accounts.json"
    add_account(path, "anna", Role.VIEWER, PASSWORD)
    return path


@pytest.fixture
def elsewhere() -> Elsewhere:
    return Elsewhere()


@pytest.fixture
async def served(tmp_path: Path, accounts: Path, elsewhere: Elsewhere) -> AsyncIterator[Served]:
    files = await in_thread(ImageDirectory(tmp_path / "images", 2**30).open)
    people = PeopleAuthenticator(AccountsFile(accounts), elsewhere)
    server = ImageServer(HttpSettings(), tmp_path, lambda: [people])
    await server.start(files, "store", logging.getLogger("test.store"))
    yield Served(files, server)
    await server.stop()


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


@pytest.mark.slow
async def test_a_person_downloads_by_password_or_token_and_stores_nothing(served: Served, accounts: Path) -> None:
    image = await served.put_image()
    token = await in_thread(add_token, accounts, "anna", "night", 1.0)
    await asyncio.sleep(2.1)  # until a change of the file is in force
    for shown in (basic("anna", PASSWORD), basic("anna", token), f"Bearer {token}"):
        answer = await served.ask("GET", f"/images/{image}", token="", Authorization=shown)
        assert (answer.status, answer.body) == (200, frame_bytes())
        refused = await served.ask("POST", "/images", frame_bytes(), token="", Authorization=shown)
        assert (refused.status, refused.error) == (403, "NotAllowed")
    assert len(served.files.list()) == 1


@pytest.mark.parametrize(
    "shown",
    [
        "",
        basic("anna", "wrong horse"),
        basic("anna", ""),
        basic("nobody", PASSWORD),
        basic("otto", "her own"),
        basic("anna", "x" * 5000),
        "Basic !!!",
        "Bearer pytel_wrong",
    ],
)
async def test_whoever_is_not_known_gets_nothing(served: Served, shown: str) -> None:
    image = await served.put_image()
    fields = {"Authorization": shown} if shown else {}
    answer = await served.ask("GET", f"/images/{image}", token="", **fields)
    assert answer.status == 401
    assert answer.json["error"]["status"] == 401
    assert "Basic" in answer.headers["www-authenticate"]


async def test_people_whom_somebody_else_knows_come_in(served: Served, elsewhere: Elsewhere) -> None:
    image = await served.put_image()
    for _ in range(2):
        answer = await served.ask("GET", f"/images/{image}/header", token="", Authorization=basic("otto", "his own"))
        assert answer.status == 200
    assert len(elsewhere.asked) <= 2
    elsewhere.is_there = False
    answer = await served.ask("GET", f"/images/{image}", token="", Authorization=basic("karl", "whatever"))
    assert (answer.status, answer.error) == (503, "ConnectionLost")
    answer = await served.ask("GET", f"/images/{image}", token="", Authorization=basic("anna", PASSWORD))
    assert answer.status == 200  # her password is in the file
    answer = await served.ask("GET", f"/images/{image}", token="", Authorization=basic("anna", "wrong horse"))
    assert (answer.status, answer.error) == (503, "ConnectionLost")  # as for a name that is not


async def test_nobody_else_sees_passwords_of_the_file(served: Served, elsewhere: Elsewhere) -> None:
    for password in (PASSWORD, "wrong horse"):
        await served.ask("GET", f"/images/{'0' * 26}", token="", Authorization=basic("anna", password))
    assert all(password not in (PASSWORD, "wrong horse") for _, password in elsewhere.asked)


@pytest.mark.slow
async def test_who_was_taken_out_stays_out(served: Served, accounts: Path) -> None:
    image = await served.put_image()
    shown = basic("anna", PASSWORD)
    assert (await served.ask("GET", f"/images/{image}", token="", Authorization=shown)).status == 200
    await in_thread(remove_account, accounts, "anna")
    async with asyncio.timeout(20):
        while (await served.ask("GET", f"/images/{image}", token="", Authorization=shown)).status != 401:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.2)


async def test_who_is_wrong_too_often_has_to_wait(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "monotonic", lambda: 1000.0)
    image = await served.put_image()
    most = attempts.ADDRESS_FAILURES[0]
    right = basic("anna", PASSWORD)
    assert (await served.ask("GET", f"/images/{image}", token="", Authorization=right)).status == 200
    tried = await asyncio.gather(
        *(
            served.ask("GET", f"/images/{image}", token="", Authorization=basic("otto", f"wrong {n}"))
            for n in range(most + 10)
        )
    )
    assert sorted(answer.status for answer in tried) == [401] * most + [429] * 10
    for shown in (basic("otto", "his own"), "Bearer pytel_guess"):
        answer = await served.ask("GET", f"/images/{image}", token="", Authorization=shown)
        assert (answer.status, answer.error) == (429, "TooManyAttempts")
        assert int(answer.headers["retry-after"]) > 0
    assert (await served.ask("GET", f"/images/{image}", token="", Authorization=right)).status == 200
    assert (await served.ask("GET", f"/images/{image}")).status == 200  # modules come with the store's own token


async def test_where_the_accounts_are_stays_here(served: Served, accounts: Path) -> None:
    await in_thread(accounts.write_text, "{")
    answer = await served.ask("GET", f"/images/{'0' * 26}", token="", Authorization=basic("anna", PASSWORD))
    assert (answer.status, answer.error) == (503, "NotReady")
    assert str(accounts.parent).encode() not in answer.body
