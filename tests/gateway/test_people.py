"""Who is let in, for how long, and what is on record of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.kit import PASSWORDS, House, OwnGateway, _connector, basic, rpc_call, until, until_so
from gateway.kit import house as open_house
from pytel.base import clock
from pytel.base.errors import ConnectionLost
from pytel.base.threads import in_thread
from pytel.bus import attempts, door, passwords
from pytel.bus import people as accounts
from pytel.bus.address import Address
from pytel.bus.attempts import ADDRESS_FAILURES, NAME_FAILURES
from pytel.bus.contract import Builtin, Call, Card, Role
from pytel.gateway import outsiders

LOG_IN = {"name": "anna", "password": PASSWORDS["anna"]}


def browser(house: House) -> aiohttp.ClientSession:
    """Keeps cookies and says which page it is on."""
    return aiohttp.ClientSession(
        house.url,
        headers={"Origin": house.url, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"},
        cookie_jar=aiohttp.CookieJar(unsafe=True),
        connector=_connector(),
    )


async def status(client: aiohttp.ClientSession, path: str = "/session", **headers: str) -> int:
    async with client.get(path, headers=headers) as response:
        return response.status


async def until_status(wanted: int, client: aiohttp.ClientSession, **headers: str) -> None:
    async def there() -> bool:
        return await status(client, **headers) == wanted

    await until_so(there, pause=0.3)  # more often would be too often


@pytest.mark.parametrize("path", ["/state", "/events", "/session"])
async def test_nobody_gets_nothing(house: House, path: str) -> None:
    async with house.client(None) as client:
        async with client.get(path) as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith("Basic ")
        async with client.get(path, headers={"Sec-Fetch-Mode": "cors"}) as response:
            assert response.headers["WWW-Authenticate"].startswith("Bearer ")
        async with client.post("/rpc", json={}) as response:
            assert response.status == 401
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect("/ws")
        assert refused.value.status == 401


@pytest.mark.parametrize(
    "authorization",
    [
        basic("anna", "wrong"),
        basic("nobody", "wrong"),
        basic("", ""),
        basic("anna", "x" * 5000),
        "Basic",
        "Basic !!!",
        "Basic YW5uYQ==",
        "Basic /////w==",
        "Bearer",
        "Bearer pytel_nothing",
        "Digest x",
        "anna",
    ],
)
async def test_wrong_credentials(house: House, authorization: str) -> None:
    async with house.client(None) as client:
        assert await status(client, Authorization=authorization) == 401


async def test_a_browser_logs_in_and_out_and_an_old_session_is_worth_nothing(house: House) -> None:
    async with browser(house) as client:
        async with client.post("/session", json=LOG_IN) as response:
            assert (response.status, (await response.json())["origin"]) == (200, "gateway/anna")
            cookie = response.headers["Set-Cookie"]
            session = response.cookies["pytel_session"].value
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert "Path=/" in cookie
        assert (await rpc_call(client, "lamp.who_asks"))["result"] == "gateway/anna observer"
        async with client.delete("/session") as response:
            assert response.status == 204
        assert await status(client) == 401
    async with house.client(None) as replay:
        assert await status(replay, Cookie=f"pytel_session={session}") == 401
    record = await house.until_audited(lambda record: len(record) >= 2)
    assert [entry["what"] for entry in record if entry["what"] != "call"] == ["log-in", "log-out"]


class Later(clock.RealClock):
    """Real time, moved ahead."""

    ahead = 0.0

    def real_time(self) -> float:
        """Later than it is."""
        return super().real_time() + self.ahead


async def test_a_session_ends_when_it_is_idle_or_old(tmp_path: Path) -> None:
    more = ", session_idle: 1 h, session_lifetime: 3 h"
    with clock.using(Later()) as time:
        assert isinstance(time, Later)
        async with open_house(tmp_path, more=more) as house, browser(house) as client:
            async with client.post("/session", json=LOG_IN):
                pass
            time.ahead = 3000.0
            assert await status(client) == 200
            time.ahead = 6000.0
            assert await status(client) == 200  # the last request was less than an hour ago
            async with client.ws_connect("/ws") as socket:
                time.ahead = 9000.0
                await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "session.info"})
                assert (await socket.receive_json(timeout=30))["result"]["way"] == "session"
                time.ahead = 10_500.0
                assert await status(client) == 200  # what is asked on a socket counts
                time.ahead = 11_000.0
                await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "session.info"})
                assert (await socket.receive(timeout=30)).type is aiohttp.WSMsgType.CLOSE
            assert await status(client) == 401
            async with client.post("/session", json=LOG_IN):
                pass
            time.ahead = 15_000.0
            assert await status(client) == 401


async def test_sessions_end_with_the_password(house: House) -> None:
    async with browser(house) as client:
        async with client.post("/session", json=LOG_IN):
            pass
        assert await status(client) == 200
        await in_thread(accounts.set_password, house.accounts, "anna", "something else")
        await until_status(401, client)


async def test_an_account_that_is_removed_is_out_at_once_with_all_it_had(house: House) -> None:
    token = await in_thread(accounts.add_token, house.accounts, "anna", "script", None)
    async with house.client("anna") as by_password, house.client(None) as by_token, browser(house) as by_session:
        bearer = {"Authorization": f"Bearer {token}"}
        async with by_session.post("/session", json=LOG_IN):
            pass
        assert await status(by_token, **bearer) == 200
        async with by_session.ws_connect("/ws") as socket:
            await in_thread(accounts.remove_account, house.accounts, "anna")
            await until_status(401, by_token, **bearer)
            await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "session.info"})
            message = await socket.receive(timeout=30)
            assert (message.type, socket.close_code) == (aiohttp.WSMsgType.CLOSE, 4401)
        assert await status(by_password) == 401
        assert await status(by_session) == 401


async def test_somebody_new_may_come_in_at_once(house: House) -> None:
    await in_thread(accounts.add_account, house.accounts, "nina", Role.VIEWER, "brand new one")
    async with house.client(None) as client:
        assert await status(client, Authorization=basic("nina", "brand new one")) == 200
        await in_thread(accounts.set_password, house.accounts, "nina", "and another one")
        assert await status(client, Authorization=basic("nina", "and another one")) == 200
        assert await status(client, Authorization=basic("nina", "brand new one")) == 401


async def test_tokens_have_names_expire_and_are_revoked(house: House) -> None:
    path = house.accounts
    good = await in_thread(accounts.add_token, path, "olga", "good", 1.0)
    old = await in_thread(accounts.add_token, path, "olga", "old", -1.0)
    async with house.client(None) as client:
        assert await status(client, Authorization=f"Bearer {good}") == 200
        assert await status(client, Authorization=f"Bearer {old}") == 401
        async with client.get("/session", headers={"Authorization": f"bearer {good}"}) as response:
            told = await response.json()
            assert (told["role"], told["way"]) == ("operator", "token good")
        await in_thread(accounts.remove_token, path, "olga", "good")
        await until_status(401, client, Authorization=f"Bearer {good}")
    text = await in_thread(path.read_text)
    assert good not in text
    assert "argon2id" in text
    assert (await in_thread(path.stat)).st_mode & 0o077 == 0


@pytest.fixture
def standing_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody gets another attempt by waiting."""
    monkeypatch.setattr(attempts, "monotonic", lambda: 1000.0)


@pytest.mark.usefixtures("standing_time")
async def test_who_is_wrong_too_often_has_to_wait_and_harms_nobody_elsewhere(house: House) -> None:
    async with house.client(None) as client, house.client("otto") as otto:
        assert await status(otto) == 200
        tries = [await status(client, Authorization=basic("anna", f"wrong {n}")) for n in range(ADDRESS_FAILURES[0])]
        assert set(tries) == {401}
        async with client.get("/session", headers={"Authorization": basic("olga", PASSWORDS["olga"])}) as response:
            assert response.status == 429
            assert int(response.headers["Retry-After"]) > 0
        async with client.post("/session", json=LOG_IN) as response:
            assert response.status == 429
        assert await status(client, Authorization="Bearer pytel_guess") == 429
        assert await status(otto) == 200  # who was right before needs no attempt
    record = await house.until_audited(lambda record: len(record) >= ADDRESS_FAILURES[0])
    assert {entry["what"] for entry in record} == {"refused"}
    assert "wrong" not in str([entry["name"] for entry in record])


@pytest.mark.usefixtures("standing_time")
async def test_many_attempts_at_once_are_no_way_around(house: House) -> None:
    async with house.client(None) as client:
        tried = await asyncio.gather(
            *(status(client, Authorization=basic("anna", f"wrong {number}")) for number in range(60))
        )
    assert tried.count(401) <= min(ADDRESS_FAILURES[0], NAME_FAILURES[0])
    assert set(tried) <= {401, 429, 503}


XENIA = "from elsewhere"


class Elsewhere:
    """Knows a person by a password of her own."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.is_there = True
        self.role: Role | None = Role.OPERATOR

    async def check(self, name: str, password: str) -> Role | None:
        """As the server of her accounts does."""
        self.asked.append((name, password))
        if not self.is_there:
            raise ConnectionLost("the server is away")
        return self.role if (name, password) == ("xenia", XENIA) else None


async def test_people_whom_another_server_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = Elsewhere()
    monkeypatch.setattr(OwnGateway, "outside", elsewhere)
    async with open_house(tmp_path) as house, house.client(None) as client:
        xenia = {"Authorization": basic("xenia", XENIA)}
        for _ in range(3):
            assert (await rpc_call(client, "lamp.who_asks", **xenia))["result"] == "gateway/xenia operator"
        assert elsewhere.asked == [("xenia", XENIA)]
        assert await status(client, Authorization=basic("xenia", "wrong")) == 401
        async with client.post("/session", json={"name": "xenia", "password": XENIA}) as response:
            assert response.status == 200
        elsewhere.is_there = False
        assert await status(client, Authorization=basic("yves", "whatever")) == 503


async def test_the_same_is_done_for_every_name_wherever_it_has_an_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, hashed = Elsewhere(), []
    is_right = passwords.is_right

    def noting(of: str | None, password: str) -> bool:
        hashed.append(password)
        return is_right(of, password)

    monkeypatch.setattr(OwnGateway, "outside", elsewhere)
    monkeypatch.setattr(passwords, "is_right", noting)
    async with open_house(tmp_path) as house, house.client(None) as client:
        for name in ("anna", "xenia", "nobody", "not even a name"):
            for password in ("wrong", {"anna": PASSWORDS["anna"], "xenia": XENIA}.get(name, "wrong, too")):
                elsewhere.asked.clear()
                hashed.clear()
                await status(client, Authorization=basic(name, password))
                assert hashed == [password]
                assert [asked for asked, _ in elsewhere.asked] == [name]
                told = {password for _, password in elsewhere.asked}
                assert told.isdisjoint({"wrong", PASSWORDS["anna"]}) if name == "anna" else told == {password}
        elsewhere.is_there = False
        assert await status(client, Authorization=basic("olga", PASSWORDS["olga"])) == 200
        assert await status(client, Authorization=basic("olga", "wrong")) == 503


@pytest.mark.parametrize("role", [None, Role.VIEWER])
async def test_who_is_no_longer_what_he_was_elsewhere_is_out_soon_with_all_he_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, role: Role | None
) -> None:
    elsewhere = Elsewhere()
    monkeypatch.setattr(OwnGateway, "outside", elsewhere)
    async with open_house(tmp_path) as house, browser(house) as page, house.client(None) as script:
        async with page.post("/session", json={"name": "xenia", "password": XENIA}) as response:
            assert response.status == 200
        by_session = await page.ws_connect("/ws")
        by_password = await script.ws_connect("/ws", headers={"Authorization": basic("xenia", XENIA)})
        assert await status(page) == 200
        assert await status(script, Authorization=basic("xenia", XENIA)) == 200
        elsewhere.role = role
        monkeypatch.setattr(outsiders, "ASKED_AGAIN", 0.0)
        monkeypatch.setattr(outsiders, "GOOD_FOR", 0.0)
        assert await status(page) == 401
        if role is None:
            assert await status(script, Authorization=basic("xenia", XENIA)) == 401
        for socket in (by_session, by_password):
            await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "session.info"})
            async with asyncio.timeout(30):
                while (await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                    pass
            assert socket.close_code == 4401


async def test_while_nobody_elsewhere_can_tell_a_session_waits_and_then_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = Elsewhere()
    monkeypatch.setattr(OwnGateway, "outside", elsewhere)
    async with open_house(tmp_path) as house, browser(house) as page:
        async with page.post("/session", json={"name": "xenia", "password": XENIA}) as response:
            assert response.status == 200
        elsewhere.is_there = False
        assert await status(page) == 200
        monkeypatch.setattr(outsiders, "GOOD_FOR", 0.0)
        assert await status(page) == 503
        elsewhere.is_there = True
        assert await status(page) == 200


async def test_many_who_want_to_know_the_same_ask_once(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = Elsewhere()
    known = outsiders.Outsiders(elsewhere)
    assert await asyncio.gather(*(known.check("xenia", XENIA) for _ in range(20))) == [Role.OPERATOR] * 20
    assert len(elsewhere.asked) == 1
    assert known.remembered("xenia", XENIA) is Role.OPERATOR
    monkeypatch.setattr(outsiders, "ASKED_AGAIN", 0.0)
    assert known.remembered("xenia", XENIA) is Role.OPERATOR  # and it is asked again meanwhile
    elsewhere.role = None
    await until(lambda: known.remembered("xenia", XENIA) is None)
    await known.close()


async def test_every_change_is_on_record_and_no_look(house: House) -> None:
    async with house.client("anna") as client:
        await rpc_call(client, "lamp.who_asks")
        await rpc_call(client, "rpc.discover")
        await rpc_call(client, "lamp.set_level", {"level": 5, "password": "hush"})
        await rpc_call(client, "lamp.set_level", {"level": 500})
        await rpc_call(client, "lamp.unscrew")
        job = (await rpc_call(client, "lamp.warm_up"))["result"]["job"]
        await rpc_call(client, "lamp.job.wait", {"job": job})
        await rpc_call(client, "lamp.say", {"text": "x"})
    record = await house.until_audited(lambda record: len(record) >= 4)
    assert [(entry["method"], entry["outcome"]) for entry in record] == [
        ("lamp.set_level", "done"),
        ("lamp.set_level", "LimitExceeded"),
        ("lamp.unscrew", "NotAllowed"),
        ("lamp.warm_up", "done"),
    ]
    first: dict[str, Any] = record[0]
    assert first["params"] == {"level": 5, "password": "(secret)"}
    assert (first["origin"], first["role"], first["way"]) == ("gateway/anna", "observer", "basic")
    assert first["address"] == "127.0.0.1"
    assert record[3]["job"] == job


@pytest.mark.slow
async def test_a_damaged_file_of_accounts_lets_in_whom_it_let_in_and_is_told(house: House) -> None:
    def damage() -> str:
        text = house.accounts.read_text()
        house.accounts.write_text("{")
        return text

    text = await in_thread(damage)
    await until(lambda: "damaged" in house.gateway._runtime.lifecycle.explanation)
    async with house.client("anna") as client:
        assert await status(client) == 200
    await in_thread(house.accounts.write_text, text)
    await until(lambda: house.gateway._runtime.lifecycle.healthy)


async def test_a_module_that_hangs_is_on_record_and_answers_are_not_held_up_by_asking_what_it_is(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "ANSWER_TIME", 0.2)
    hung, bus = Hung(), house.supervisor.hub.bus(Address("hung"))
    await bus.open(hung, Card(interfaces=(), boot="b"))
    async with house.client("anna") as client:
        assert (await rpc_call(client, "hung.act"))["error"]["data"]["name"] == "Timeout"
    record = await house.until_audited(bool)
    assert (record[0]["method"], record[0]["outcome"]) == ("hung.act", "Timeout")
    assert hung.asked == ["act"]
    await bus.close()


class Hung:
    """Never answers."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def handle_call(self, call: Call) -> Builtin:
        """Wait."""
        self.asked.append(call.method)
        await asyncio.Event().wait()


def test_an_attempt_more_comes_with_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(attempts, "monotonic", lambda: now)
    allowance = attempts.Allowance(3, 10.0)
    for _ in range(3):
        assert allowance.wait("a") == 0
        allowance.charge("a")
    assert allowance.wait("a") == 10.0
    assert allowance.wait("b") == 0
    now += 10.0
    assert allowance.wait("a") == 0
    allowance.charge("a")
    assert allowance.wait("a") == 10.0
    allowance.give_back("a")
    assert allowance.wait("a") == 0
