from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytel.automation.safety_source import LONGEST, Text, decoded, source
from pytel.automation.safety_text import TextJudge, TextSafetyMonitor
from pytel.base import clock
from pytel.base.errors import ConfigError, PytelError, Timeout
from pytel.base.location import Location
from pytel.bus.address import Address
from pytel.bus.local import LocalHub
from pytel.interfaces.safety import SafetyMonitorState
from pytel.module.faults import Lines
from pytel.module.handlers import on
from pytel.module.runtime import ModuleRuntime
from pytel.module.site import SiteInfo
from pytel.module.struct_check import parse_struct
from pytel.module.yaml_lines import read_yaml
from pytel.services import Module

Run = Callable[[Callable[[Any], Any]], Any]
ROOF_FILE = "2026-03-01 08:00:00PM Roof Status: {}"
ONE_LINE = "2026-03-01 20:00:00.00 C K -28.5  18.7  22.5  4.3  45 10.3   3 0 0 00004 046082.83333 1 1 1 1 {} 0"
UPS = "battery.charge: 100\ndevice.mfr: EATON\nups.load: 12\nups.status: {}\n"


class Witness(Module):
    async def on_start(self) -> None:
        self.heard: list[SafetyMonitorState] = []

    @on(SafetyMonitorState, policy="all", queue=100000)
    async def state(self, state: SafetyMonitorState) -> None:
        self.heard.append(state)

    @property
    def last(self) -> SafetyMonitorState:
        return self.heard[-1]


async def begin(bench: Any, **config: Any) -> Any:
    witness = await bench.start("witness", Witness)
    await bench.start("hoster", TextSafetyMonitor, TextSafetyMonitor.Config(**config))
    return witness


def write(path: Path, text: str, age: float = 0.0) -> None:
    path.write_text(text)
    moment = clock.real_time() - age
    os.utime(path, (moment, moment))


def test_a_roof_file_is_followed_and_its_silence_noticed(bench: Run, tmp_path: Path) -> None:
    path = tmp_path / "RoofStatusFile.txt"

    async def scenario(bench: Any) -> None:
        write(path, "OPEN")
        witness = await begin(bench, path=str(path), safe=r"\bOPEN\b", clear_after=60, max_age=120)
        assert not witness.last.safe
        await clock.sleep(70)
        assert witness.last.safe
        write(path, "CLOSED")
        await clock.sleep(6)
        assert witness.last.reasons == ("hoster: it says 'CLOSED', which does not mean safe",)
        write(path, "OPEN")
        await clock.sleep(70)
        assert witness.last.safe
        await clock.sleep(55)  # it is not written any more
        assert witness.last.reasons == ("hoster: it is 124 s old",)

    bench(scenario)


def test_a_clock_that_is_set_back_makes_no_old_text_young(
    bench: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "roof.txt"
    real_time = clock.real_time

    async def scenario(bench: Any) -> None:
        path.write_text(f"{datetime.fromtimestamp(real_time(), UTC):%Y-%m-%d %H:%M:%S} OPEN")
        found = {"safe": "OPEN", "time": r"^\S+ \S+", "clear_after": 0, "max_age": 120}
        witness = await begin(bench, path=str(path), **found)
        await clock.sleep(60)
        assert witness.last.safe
        monkeypatch.setattr(clock, "real_time", lambda: real_time() - 59.0)
        await clock.sleep(30)
        assert witness.last.safe
        await clock.sleep(35)
        assert not witness.last.safe
        monkeypatch.setattr(clock, "real_time", lambda: real_time() - 120.0)
        await clock.sleep(10)
        assert not witness.last.safe

    bench(scenario)


def test_a_file_that_goes_away_is_unsafe_after_its_silence(bench: Run, tmp_path: Path) -> None:
    path = tmp_path / "roof.txt"

    async def scenario(bench: Any) -> None:
        write(path, "OPEN")
        witness = await begin(bench, path=str(path), safe="OPEN", clear_after=0, max_age=None)
        await clock.sleep(12)
        assert witness.last.safe
        path.unlink()
        gone = clock.time()
        await clock.sleep(12)
        assert witness.last.safe  # one that is just being written anew is no reason to close
        while witness.last.safe:
            await clock.sleep(0.5)
        assert clock.time() - gone <= 20.5
        assert witness.last.reasons[0].startswith("hoster has said nothing for 20 s: ")
        assert "No such file" in witness.last.reasons[0]

    bench(scenario)


def test_what_a_person_declares_holds_here_too(bench: Run, tmp_path: Path) -> None:
    path = tmp_path / "roof.txt"

    async def scenario(bench: Any) -> None:
        write(path, "OPEN")
        witness = await begin(bench, path=str(path), safe="OPEN", clear_after=0)
        await clock.sleep(10)
        await bench.runtimes["hoster"].module.declare_unsafe("work at the roof")
        await clock.sleep(1)
        assert witness.last.reasons == ("work at the roof",)

    bench(scenario)


EIGHT = datetime(2026, 3, 1, 20, 0, tzinfo=UTC).timestamp()
PAGE = Path(__file__).parents[2] / "docs" / "safety.md"


def documented(name: str) -> TextSafetyMonitor.Config:
    """The monitor of a name as the page on safety shows it, but in UTC."""
    (block,) = (text for text in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.S) if f"  {name}:" in text)
    section = read_yaml(block, "safety.md")[0]["modules"][name]
    del section["type"]
    config, faults = parse_struct(section | {"time_zone": "UTC"}, TextSafetyMonitor.Config, Lines("safety.md"))
    assert config is not None, faults
    return config


BOLTWOOD, NUT, ROOF = documented("clouds"), documented("power"), documented("hoster")
OPEN = TextSafetyMonitor.Config(safe="open")


@pytest.mark.parametrize(
    ("config", "text", "after", "complaint"),
    [
        (ROOF, ROOF_FILE.format("OPEN"), 30, None),
        (ROOF, ROOF_FILE.format("CLOSED"), 30, "Roof Status: CLOSED"),
        (ROOF, ROOF_FILE.format("OPEN"), 400, "400 s old"),
        (ROOF, ROOF_FILE.format("OPENING"), 30, "does not mean safe"),
        (ROOF, ROOF_FILE.format("OPEN"), -90, "in the future"),
        (ROOF, "Roof Status: OPEN", 0, "does not say how old"),
        (BOLTWOOD, ONE_LINE.format(0), 10, None),
        (BOLTWOOD, ONE_LINE.format(1), 10, "does not mean safe"),
        (BOLTWOOD, ONE_LINE.format(0), 1000, "1000 s old"),
        (BOLTWOOD, ONE_LINE.format(0)[:60], 10, "does not mean safe"),
        (NUT, UPS.format("OL CHRG"), 0, None),
        (NUT, UPS.format("OB DISCHRG"), 0, "OB"),
        (NUT, UPS.format("OL LB"), 0, "LB"),
        (NUT, "Error: Data stale\n", 0, "Data stale"),
        (OPEN, "", 0, "says ''"),
    ],
)
def test_the_formats_of_the_field(
    monkeypatch: pytest.MonkeyPatch, config: TextSafetyMonitor.Config, text: str, after: float, complaint: str | None
) -> None:
    monkeypatch.setattr(clock, "real_time", lambda: EIGHT + after)

    said, _ = TextJudge(config).weigh(Text(text, None))
    assert (said is None) is (complaint is None)
    assert complaint is None or complaint in str(said)


@given(st.binary(max_size=2000))
def test_no_content_breaks_it_or_is_taken_for_safe(content: bytes) -> None:
    text = decoded(content)
    if b"OPEN" not in content:
        assert "ROOF OPEN" not in text


def test_too_much_is_refused() -> None:
    with pytest.raises(PytelError, match="more than"):
        decoded(b"x" * (LONGEST + 1))
    assert decoded("OPEN".encode("utf-16")) == "OPEN"
    assert decoded(b"\xef\xbb\xbfOPEN\xff") == "OPEN�"


@pytest.mark.parametrize(
    "config",
    [
        {"safe": "x"},
        {"safe": "x", "path": "a", "url": "http://b/"},
        {"safe": "(", "path": "a"},
        {"safe": "x", "url": "file:///etc/passwd"},
        {"safe": "x", "path": "a", "time_zone": "Hilltop"},
    ],
)
async def test_what_cannot_be_is_told_at_the_start(tmp_path: Path, config: dict[str, Any]) -> None:
    site = SiteInfo(name="test", location=Location(latitude=0, longitude=0), state_dir=tmp_path)
    bus = LocalHub().bus(Address("hoster"))
    runtime = ModuleRuntime(TextSafetyMonitor, config=TextSafetyMonitor.Config(**config), site=site, bus=bus)
    with pytest.raises(ConfigError):
        await runtime.module.on_start()


async def read(deadline: float = 5.0, **given: Any) -> Text:
    return await source(given.get("path"), given.get("url"), given.get("command", ()), deadline)()


async def test_a_pipe_and_a_device_do_not_hang_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(PytelError):
            await read(path=str(path))
    (tmp_path / "long").write_bytes(b"OPEN" * LONGEST)
    with pytest.raises(PytelError, match="more than"):
        await read(path=str(tmp_path / "long"))


async def test_a_command_is_bounded_and_must_succeed() -> None:
    assert (await read(command=(sys.executable, "-c", "print('ups.status: OL')"))).text == "ups.status: OL\n"
    with pytest.raises(PytelError, match="status 3"):
        await read(command=(sys.executable, "-c", "print('OL'); raise SystemExit(3)"))
    with pytest.raises(PytelError, match="more than"):
        await read(command=(sys.executable, "-c", "while True: print('OL')"))
    with pytest.raises(Timeout):
        await read(deadline=0.5, command=(sys.executable, "-c", "import time; time.sleep(60)"))
    with pytest.raises(PytelError, match="No such file"):
        await read(command=("/no/such/program",))


@contextlib.asynccontextmanager
async def server(answer: bytes, *, endless: bool = False) -> AsyncIterator[str]:
    """A server that says `answer`, whatever it is asked, and hangs up (or goes on for ever)."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            while endless:
                writer.write(b"x" * 1000)
                await writer.drain()
                await asyncio.sleep(0.001)
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/roof.txt"


def http(body: str, status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "Connection: close", "", body]).encode()


async def test_a_url_tells_its_age_by_its_own_clock() -> None:
    answer = http("OPEN", Date="Sun, 01 Mar 2020 20:01:00 GMT", Last_Modified="Sun, 01 Mar 2020 20:00:30 GMT", Age="5")
    async with server(answer) as url:
        assert await read(url=url) == Text("OPEN", 35.0)
    async with server(http("OPEN")) as url:
        assert await read(url=url) == Text("OPEN", None)
    async with server(http("OPEN", Last_Modified="yesterday")) as url:
        assert (await read(url=url)).age is None


@pytest.mark.parametrize(
    "answer",
    [
        http("OPEN", "500 Oops"),
        http("OPEN", "404 Not Found"),
        http("OPEN", "204 No Content"),
        http("", "302 Found", Location="file:///etc/passwd"),
        http("OPEN" * LONGEST),
        b"OPEN",
        b"",
        b"\x00\xff" * 100,
    ],
)
async def test_what_is_no_good_answer_is_an_error(answer: bytes) -> None:
    async with server(answer) as url:
        with pytest.raises(PytelError):
            await read(url=url)


async def test_an_answer_without_end_is_cut_off() -> None:
    async with server(http("OPEN"), endless=True) as url:
        with pytest.raises(PytelError, match="more than"):
            await read(url=url)


async def test_a_server_that_only_listens_is_not_waited_for() -> None:
    async with server(http("", Content_Length="100").removesuffix(b"\r\n\r\n")) as url:
        with pytest.raises(PytelError):
            await read(deadline=0.5, url=url)
    with pytest.raises(PytelError):
        await read(url="http://127.0.0.1:1/")
