"""pytel as a foreign system sees it: at the gateway by our names, at a face by its own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.foreign.kit import HERE, PAGE_TEXT
from devices.foreign.test_drivers import high
from pytel.base.threads import in_thread
from pytel.bus.contract import Role
from pytel.bus.people import FILE, add_account
from pytel.gateway.face import ForeignFace
from pytel.gateway.gateway import HttpGateway
from pytel.interfaces import TaskStore, TelescopeState
from pytel.module.sitefile import parse_site
from pytel.module.yaml_lines import read_yaml
from pytel.testing import Observatory

pytestmark = pytest.mark.slow

ANNA, OTTO = ["anna", "correct horse"], ["otto", "letters and 9"]


def basic(person: list[str]) -> str:
    return "Basic " + base64.b64encode(":".join(person).encode()).decode()


def shown_face() -> dict[str, Any]:
    """The face of the page."""
    match = re.search(r"```yaml\n(modules:\n  gateway: .*?)```", PAGE_TEXT, re.S)
    assert match is not None
    value, _, faults = read_yaml(match[1], "face.yaml")
    assert not faults
    modules: dict[str, Any] = value["modules"]
    return modules


MODULES = shown_face()


def the_site() -> dict[str, Any]:
    """Simulated hardware behind the face."""
    more = json.loads(json.dumps(MODULES))
    more["face"]["listen"] = more["gateway"]["listen"] = "127.0.0.1:0"
    return {
        "site": {"name": "sutherland", "latitude": -32.38, "longitude": 20.81, "elevation": 1771.0},
        "simulation": {"weather": {"mode": "clear"}, "telescope": {"slew_rate": 90.0, "settle_time": 0.2}},
        "modules": {
            "control": {"type": "lease-control"},
            "weather": {"type": "simulated-weather"},
            "telescope": {"type": "simulated-telescope"},
            "tasks": {"type": "sql-task-store"},
            **more,
        },
    }


class Place:
    """A site that people can reach, and a client in a process of its own."""

    def __init__(self, observatory: Observatory) -> None:
        self.observatory = observatory

    def url(self, module: str) -> str:
        front = self.observatory.runtime(module).module
        assert isinstance(front, (HttpGateway, ForeignFace))
        return f"{front.url}/rpc"

    async def client(self, module: str, *steps: dict[str, Any], user: list[str] = ANNA) -> list[Any]:
        """Have the client carry out steps; its answers."""
        told = [{"user": user, **step} for step in steps]
        done = await in_thread(_run_client, self.url(module), json.dumps(told))
        assert set(done["modules"]) <= sys.stdlib_module_names | {"__main__", "__mp_main__"}
        answers: list[Any] = done["answers"]
        return answers


def _run_client(url: str, steps: str) -> dict[str, Any]:
    command = [sys.executable, "-I", "-S", str(HERE / "stand_in_client.py"), url]
    done = subprocess.run(command, input=steps, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@contextlib.asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Place]:
    def move_in() -> None:
        accounts = directory / "state" / "gateway" / FILE
        add_account(accounts, *_with_role(ANNA, Role.OBSERVER))
        add_account(accounts, *_with_role(OTTO, Role.VIEWER))

    await in_thread(move_in)
    async with Observatory(the_site(), directory=directory) as observatory:
        yield Place(observatory)


def _with_role(person: list[str], role: Role) -> tuple[str, Role, str]:
    return person[0], role, person[1]


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with opened(tmp_path) as found:
        yield found


def submitted(ref: str) -> dict[str, Any]:
    blocks = [{"seconds": 10, "number": 2, "filter": "V"}]
    return {"ref": ref, "object": "M 42", "ra_hours": 5.588, "dec": -5.39, "blocks": blocks}


async def test_a_foreign_system_at_the_gateway(place: Place) -> None:
    ra, dec = high()
    target = {"name": "M 42", "ra": 83.82, "dec": -5.39}
    task = {"id": "m42", "name": "M 42", "target": target, "exposures": [{"exposure_time": 10}]}
    answers = await place.client(
        "gateway",
        {"method": "session.info"},
        {"method": "telescope.move_radec", "params": {"ra": ra, "dec": dec}},
        {
            "method": "telescope.job.wait",
            "params": {"job": "$2.job", "timeout": 20},
            "at": "status",
            "until": ["done", "failed"],
        },
        {"method": "weather.read_weather"},
        {"method": "tasks.add_task", "params": {"task": task}},
        {"method": "tasks.list_tasks"},
    )
    assert answers[0]["result"]["name"] == "anna"
    assert answers[2]["result"]["status"] == "done"
    assert answers[3]["result"]["temperature"] is not None
    assert answers[5]["result"][0]["task"]["id"] == "m42"


async def test_a_foreign_system_at_its_face(place: Place) -> None:
    ra, dec = high()
    answers = await place.client(
        "face",
        {"method": "telescope.slew", "params": {"ra_hours": ra / 15.0, "dec": dec}},
        {"method": "task.status", "params": {"task": "$1.task"}, "at": "state", "until": ["FINISHED", "ABORTED"]},
        {"method": "telescope.status", "at": "state", "until": ["TRACK"]},
        {"method": "weather.report"},
        {"method": "queue.submit", "params": submitted("n-1")},
        {"method": "telescope.stop"},
    )
    assert answers[0]["result"] == {"task": 1}
    assert answers[1]["result"] == {"state": "FINISHED", "reason": None}
    assert answers[2]["result"]["ra_hours"] == pytest.approx(ra / 15.0, abs=0.02)
    observatory = place.observatory
    assert observatory.state(TelescopeState).target_ra == pytest.approx(ra)
    assert -40 < answers[3]["result"]["temperature"] < 140
    assert answers[4]["result"] is answers[5]["result"] is True
    entry = await observatory.find(TaskStore).get_task("n-1")
    assert entry.task.target.ra == pytest.approx(83.82)
    assert entry.task.exposures[0].count == 2


async def test_errors_in_the_numbers_of_the_other_system(place: Place) -> None:
    twice = {**submitted("n-2"), "dec": 1.0}
    answers = await place.client(
        "face",
        {"method": "telescope.slew", "params": {"ra_hours": 0.0, "dec": 89.0}},
        {"method": "task.status", "params": {"task": "$1.task"}, "at": "state", "until": ["FINISHED", "ABORTED"]},
        {"method": "task.status", "params": {"task": 77}},
        {"method": "queue.submit", "params": submitted("n-2")},
        {"method": "queue.submit", "params": twice},
        {"method": "telescope.dance"},
        {"method": "telescope.slew", "params": {"ra_hours": "five", "dec": 0}},
        {"method": "telescope.slew", "params": {"ra_hours": 5, "dec": 0, "epoch": 1950}},
        {"method": "telescope.slew", "params": {"ra_hours": 5, "dec": 100}},
    )
    assert "does not go below" in answers[1]["result"]["reason"]
    codes = [answer.get("error", {}).get("code") for answer in answers]
    assert codes == [None, None, 4004, None, 4005, -32601, -32602, -32602, -32602]
    assert "no parameter 'epoch'" in answers[7]["error"]["message"]


async def test_roles_and_passwords_hold(place: Place) -> None:
    slew = {"method": "telescope.slew", "params": {"ra_hours": 5.0, "dec": -30.0}}
    answers = await place.client("face", slew, {"method": "telescope.status"}, user=OTTO)
    assert answers[0]["error"]["data"]["name"] == "NotAllowed"
    assert answers[1]["result"]["state"] == "PARKED"
    assert await place.client("face", slew, user=["anna", "wrong horse"]) == [{"http": 401}]
    assert await place.client("face", slew, user=[]) == [{"http": 401}]


async def test_the_control_lease_holds(place: Place) -> None:
    from pytel.interfaces import Control

    await place.observatory.find(Control).take()
    slew = {"method": "telescope.slew", "params": {"ra_hours": 5.0, "dec": -30.0}}
    answers = await place.client("face", slew)
    assert answers[0]["error"]["code"] == 4001
    assert answers[0]["error"]["data"]["name"] == "ControlHeld"


async def test_who_changed_what_is_on_record(place: Place) -> None:
    await place.client("face", {"method": "queue.submit", "params": submitted("n-3")}, {"method": "telescope.status"})
    await place.observatory.stop("face")
    path = place.observatory.site.info.state_dir / "face" / "audit.jsonl"
    lines = [json.loads(line) for line in (await in_thread(path.read_text)).splitlines()]
    calls = [(line["origin"], line["method"], line["outcome"]) for line in lines if line["what"] == "call"]
    assert calls == [("face/anna", "tasks.add_task", "done")]


async def test_notifications_batches_and_positions(place: Place) -> None:
    headers = {"Authorization": basic(ANNA)}
    url = place.url("face")
    connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
    async with aiohttp.ClientSession(headers=headers, connector=connector) as client:

        async def ask(body: Any) -> Any:
            async with client.post(url, json=body) as response:
                return response.status, await response.json() if response.status == 200 else None

        one = {"jsonrpc": "2.0", "method": "telescope.status"}
        assert await ask(one) == (204, None)
        assert await ask([one, one]) == (204, None)
        status, answers = await ask([{**one, "id": 1}, one, {"id": 2}, {**one, "id": 3, "params": [1]}])
        assert status == 200
        assert [answer["id"] for answer in answers] == [1, 2, 3]
        assert [answer.get("error", {}).get("code") for answer in answers] == [None, -32600, -32602]
        assert (await ask([]))[1]["error"]["code"] == -32602
        async with client.post(url, data=b"{", headers={"Content-Type": "application/json"}) as response:
            assert (await response.json())["error"]["code"] == -32700
        async with client.get(url) as response:
            assert response.status in (404, 405)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["ra_hours", "dec", "task", "ref", "object", "blocks", "x"]), inner, max_size=6
        )
    ),
    max_leaves=10,
)


def test_whatever_is_sent_has_an_answer(tmp_path: Path) -> None:
    """One site hears it all, from somebody who may do nothing and from somebody who may observe."""
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        place = runner.run(stack.enter_async_context(opened(tmp_path)))
        url = place.url("face")

        @settings(max_examples=150)
        @given(st.sampled_from([ANNA, OTTO]), st.sampled_from(sorted(MODULES["face"]["methods"])), JSON)
        def sent(person: list[str], method: str, params: Any) -> None:
            body = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
            status, answer = runner.run(_post(url, person, body))
            assert status == 200
            assert answer.get("error", {}).get("code") != -32603, answer

        try:
            sent()
        finally:
            runner.run(stack.aclose())


async def _post(url: str, person: list[str], body: bytes) -> tuple[int, Any]:
    connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver(), force_close=True)
    headers = {"Authorization": basic(person), "Content-Type": "application/json"}
    patience = aiohttp.ClientTimeout(total=20)
    async with (
        aiohttp.ClientSession(headers=headers, connector=connector, timeout=patience) as client,
        client.post(url, data=body) as response,
    ):
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"call": "Telescop.park"}, "did you mean 'Telescope'"),
        ({"call": "Telescope.prak"}, "did you mean 'park'"),
        ({"state": "Nobody"}, "no interface 'Nobody'"),
        ({"call": "Telescope.stop", "state": "Telescope"}, "one of 'call', 'state' and 'job'"),
        ({"job": "status"}, "where 'job' or 'number' comes from"),
        ({"state": "Telescope", "result": {"x": {"from": "raa"}}}, "no 'raa'"),
        ({"call": "Telescope.move_radec", "params": {"ra": {"from": "a"}}}, "'dec' is missing"),
        ({"call": "Telescope.move_radec", "params": {"ra": {"from": "a", "unit": "K"}}}, "'K' cannot be"),
    ],
)
def test_faults_of_a_face_have_their_lines(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    site = the_site()
    site["modules"]["face"]["methods"] = {"telescope.slew": change}
    _, faults = parse_site(json.dumps(site, indent=1), directory=tmp_path)
    assert any(sentence in fault.message for fault in faults)
    lines = json.dumps(site, indent=1).splitlines()
    first = next(index for index, line in enumerate(lines, 1) if "telescope.slew" in line)
    assert all(fault.line >= first for fault in faults)


def test_over_xmpp_a_face_that_would_not_be_believed_is_refused(tmp_path: Path) -> None:
    site = the_site() | {"bus": "xmpp"}
    _, faults = parse_site(site, directory=tmp_path)
    assert ["must be called 'gateway', not 'face'" in fault.message for fault in faults] == [True]
    site["modules"]["gateway"] = site["modules"].pop("face")
    _, faults = parse_site(site, directory=tmp_path)
    assert not faults
