"""The record of changes: nothing secret in it, files of bounded size, and a full disk stops nobody."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.kit import House, rpc_call, until
from pytel.base.errors import PytelError
from pytel.base.files import no_room_below
from pytel.base.threads import in_thread
from pytel.gateway import audit
from pytel.gateway.audit import AuditLog, without_secrets


def test_what_is_secret_or_long_stays_out() -> None:
    given_params = {
        "password": "a",
        "inner": [{"api_key": "b", "Token": {"x": 1}}],
        "text": "x" * 1000,
        "list": list(range(100)),
        "plain": 1.5,
    }
    kept = without_secrets(given_params)
    assert kept["password"] == "(secret)"
    assert kept["inner"] == [{"api_key": "(secret)", "Token": "(secret)"}]
    assert kept["text"].endswith("(1000 characters)")
    assert len(kept["list"]) == audit.MOST_ITEMS
    assert kept["plain"] == 1.5
    deep: Any = "x"
    for _ in range(500):
        deep = {"a": [deep]}
    assert "(deep)" in str(without_secrets(deep))


@given(
    st.recursive(
        st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_whatever_is_given_becomes_one_line(value: Any) -> None:
    line = audit._line({"params": without_secrets(value)})
    assert line.count(b"\n") == 1
    json.loads(line)


async def test_files_are_of_bounded_size_and_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "LARGEST_FILE", 2000)
    monkeypatch.setattr(audit, "MOST_FILES", 3)
    log = AuditLog(tmp_path, lambda error: None)
    for number in range(200):
        log.note("call", number=number)
        assert await log.flush()

    def look() -> tuple[list[int], list[int]]:
        files = [*sorted(tmp_path.glob("audit-*.jsonl")), tmp_path / audit.FILE]
        lines = [json.loads(line)["number"] for file in files for line in file.read_text().splitlines()]
        return [file.stat().st_size for file in files], lines

    sizes, numbers = await in_thread(look)
    assert len(sizes) == 4
    assert max(sizes) <= 2000
    assert numbers == list(range(numbers[0], 200))


async def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    told: list[PytelError | None] = []
    log = AuditLog(tmp_path, told.append)
    with no_room_below(tmp_path):
        log.note("call", number=1)
        assert not await log.flush()
        log.note("call", number=2)
        assert not await log.flush()
    assert [error.name for error in told if error] == ["StorageFull", "StorageFull"]
    assert await log.flush()
    assert told[-1] is None
    lines = await in_thread((tmp_path / audit.FILE).read_text)
    assert [json.loads(line)["number"] for line in lines.splitlines()] == [1, 2]


async def test_calls_go_on_without_a_record_and_the_gateway_says_so(house: House) -> None:
    async with house.client() as client:
        with no_room_below(house.accounts.parent):
            assert "result" in await rpc_call(client, "lamp.set_level", [1])
            await until(lambda: "StorageFull in audit" in house.gateway._runtime.lifecycle.explanation)
            assert "result" in await rpc_call(client, "lamp.set_level", [2])
    await house.supervisor.stop_module("gateway")  # which writes what is left
    assert [entry["params"] for entry in await house.audit()] == [[1], [2]]


async def test_what_was_said_last_is_written_when_the_gateway_stops(house: House) -> None:
    async with house.client() as client:
        await asyncio.gather(*(rpc_call(client, "lamp.set_level", [level]) for level in range(20)))
    await house.supervisor.stop_module("gateway")
    assert sorted(entry["params"][0] for entry in await house.audit()) == list(range(20))


async def test_writing_that_is_interrupted_loses_nothing(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, lambda error: None)
    for number in range(30):
        log.note("call", number=number)
        flushing = asyncio.create_task(log.flush())
        await asyncio.sleep(0)
        flushing.cancel()
        await asyncio.wait([flushing])
    assert await log.flush()
    lines = await in_thread((tmp_path / audit.FILE).read_text)
    assert [json.loads(line)["number"] for line in lines.splitlines()] == list(range(30))
