"""Modules as processes: from the start of the program to "ready", and the memory that ten of them hold.

Ours are started as systemd starts them, and tell `READY=1`; the peer's by its command, and say so in their log. Each
side has the ten modules of a small observatory: simulated devices and what makes them observe.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import Figure
from benchmarks.messaging.cast import Stage
from benchmarks.messaging.processes import DEADLINE, ActorFailed, actors, memory, say, until_quiet
from benchmarks.messaging.servers import Running, free_port
from benchmarks.messaging.settings import Settings

OURS = {
    "telescope": "simulated-telescope",
    "camera": "simulated-camera",
    "focuser": "simulated-focuser",
    "filters": "simulated-filter-wheel",
    "roof": "simulated-roof",
    "weather": "simulated-weather",
    "safety": "weather-safety",
    "store": "directory-store",
    "autofocus": "series-autofocus",
    "observer": "robot-observer",
}
THEIRS = {
    "telescope": "pyobs.modules.telescope.DummyRaDecTelescope",
    "camera": "pyobs.modules.camera.DummyCamera",
    "roof": "pyobs.modules.roof.DummyRoof",
    "weather": "pyobs.modules.weather.MockWeather",
    "store": "pyobs.modules.utils.HttpFileCache\nport: {port}",
    "autofocus": "pyobs.modules.focus.DummyAutoFocus",
    "guider": "pyobs.modules.pointing.DummyAutoGuiding",
    "observer": "pyobs.modules.robotic.DummyMastermind",
    "images": "pyobs.modules.image.ImageWriter\nfilename: images/",
    "alone": "pyobs.modules.test.StandAlone",
}
STARTED = ("camera", "weather", "roof")
FLOOR = "floor: python, slixmpp, logged in"
PYTEL = str(Path(sys.executable).with_name("pytel"))
NAMES = {"ours": "pytel, ejabberd", "theirs": "pyobs-core, its ejabberd, no TLS"}


class Life(NamedTuple):
    """A process of a module that is ready, and how long that took."""

    process: subprocess.Popen[bytes]
    seconds: float

    def end(self) -> None:
        """Ask it to end, and see to it."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Lives(NamedTuple):
    """Seconds to "ready" by contestant and module; memory in MiB of ten modules by contestant, round by round."""

    starts: dict[tuple[str, str], list[float]]
    sizes: dict[str, list[dict[str, tuple[float, float]]]]


def measure(servers: dict[str, Running], settings: Settings) -> Lives:
    """Both sides and the floor in turn."""
    lives = Lives({}, {})
    with tempfile.TemporaryDirectory(prefix="pytel-bench-") as directory, _our_site(Path(directory)) as site:
        starters: dict[str, Callable[[str], Life]] = {
            "ours": lambda name: _start_ours(site, name),
            "theirs": lambda name: _start_theirs(Path(directory), servers["peer"], settings.peer, name),
        }
        for starter in starters.values():
            starter("camera").end()  # warms the disk cache, and makes our plan
        for number in range(settings.rounds):
            say(f"starts, round {number + 1} of {settings.rounds}")
            lives.starts.setdefault((FLOOR, ""), []).append(_start_floor(servers, settings))
            for name in STARTED[: 1 if settings.quick else None]:
                for side, starter in starters.items():
                    life = starter(name)
                    life.end()
                    lives.starts.setdefault((NAMES[side], name), []).append(life.seconds)
        for number in range(1 if settings.quick else min(settings.rounds, 3)):
            for side, modules in (("ours", OURS), ("theirs", THEIRS)):
                say(f"memory of ten modules, round {number + 1}, {NAMES[side]}")
                lives.sizes.setdefault(NAMES[side], []).append(_sizes(starters[side], modules))
    return lives


def _sizes(starter: Callable[[str], Life], modules: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(len(modules)))
        begun = {name: pool.submit(starter, name) for name in modules}
        running = {}
        for name, one in begun.items():
            running[name] = one.result()
            stack.callback(pool.submit, running[name].end)
        until_quiet([life.process.pid for life in running.values()], share=0.3, longest=20)
        return {name: memory(life.process.pid) for name, life in running.items()}


def _start_floor(servers: dict[str, Running], settings: Settings) -> float:
    with actors() as begun:
        started = time.perf_counter()
        Stage(servers, settings.peer, begun).floor("ejabberd", "callee", ["answerer"]).answer()
        return time.perf_counter() - started


# ours


@contextlib.contextmanager
def _our_site(directory: Path) -> Iterator[Path]:
    """A site whose server and simulated world run, and whose modules do not."""
    path = directory / "site.yaml"
    modules = "".join(f"  {name}: {{type: {kind}, autostart: false}}\n" for name, kind in OURS.items())
    path.write_text(
        "site: {name: bench, latitude: -32.38, longitude: 20.81, elevation: 1771 m}\n"
        f"bus: xmpp\nxmpp: {{port: {free_port()}, server: ejabberd}}\nsimulation: {{}}\nmodules:\n{modules}"
    )
    log = directory / "site.log"
    with log.open("wb") as output:
        site = subprocess.Popen([PYTEL, "run", str(path)], stdout=output, stderr=output)
    try:
        ends = time.monotonic() + DEADLINE
        look = [PYTEL, "modules", "--state", str(directory / "state")]
        while subprocess.run(look, capture_output=True, check=False).returncode:
            if time.monotonic() > ends or site.poll() is not None:
                raise ActorFailed(f"the site does not run:\n{log.read_text()}")
        yield path
    finally:
        site.send_signal(signal.SIGINT)
        site.wait(60)


def _start_ours(site: Path, name: str) -> Life:
    told = site.parent / f"{name}.notify"
    told.unlink(missing_ok=True)
    home = site.parent / "state" / "processes" / name
    home.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as desk, (site.parent / f"{name}.log").open("ab") as log:
        desk.bind(str(told))
        desk.settimeout(DEADLINE)
        begun = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "pytel.cli.child", "--site", str(site), str(home), name],
            env={**os.environ, "NOTIFY_SOCKET": str(told)},
            stdout=log,
            stderr=log,
        )
        while b"READY=1" not in desk.recv(4096):
            pass
        return Life(process, time.perf_counter() - begun)


# theirs

_CONFIGURATION = """\
timezone: utc
location: {{longitude: 20.81, latitude: -32.38, elevation: 1771.0}}
class: {kind}
comm:
  class: pyobs.comm.xmpp.XmppComm
  jid: {name}@{domain}/pyobs
  password: {password}
  server: 127.0.0.1:{server_port}
vfs:
  class: pyobs.vfs.VirtualFileSystem
  roots:
    cache: {{class: pyobs.vfs.HttpFile, upload: "http://127.0.0.1:{port}/", download: "http://127.0.0.1:{port}/"}}
    images: {{class: pyobs.vfs.LocalFile, root: {directory}}}
"""


def _start_theirs(directory: Path, server: Running, python: Path, name: str) -> Life:
    file = directory / f"{name}.yaml"
    if not file.exists():
        port = free_port()
        text = _CONFIGURATION.format(
            kind=THEIRS[name].format(port=port),
            name=name,
            domain=server.domain,
            password=server.passwords[name],
            server_port=server.port,
            port=port,
            directory=directory,
        )
        file.write_text(text)
    begun = time.perf_counter()
    process = subprocess.Popen(
        [str(python.parent / "pyobs"), str(file)],
        cwd=directory,
        env={**os.environ, "PYOBS_IERS_OFFLINE": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line.decode(errors="replace"))
        if b"Started successfully" in line:
            seconds = time.perf_counter() - begun
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return Life(process, seconds)
    process.wait()
    raise ActorFailed(f"the peer's {name} does not start:\n{''.join(said[-15:])}")


# tables


def start_table(lives: Lives) -> list[tuple[str, ...]]:
    """Seconds to "ready"."""
    rows: list[tuple[str, ...]] = [("start to ready", "module", "s (low–high)")]
    rows += [(name, module, str(_figure(values))) for (name, module), values in lives.starts.items()]
    return rows


def memory_table(lives: Lives) -> list[tuple[str, ...]]:
    """The memory of ten modules."""
    rows: list[tuple[str, ...]] = [("memory of ten modules", "RSS sum MiB", "PSS sum MiB", "RSS of one", "each (RSS)")]
    for name, rounds in lives.sizes.items():
        sums = [_figure([sum(size[part] for size in sizes.values()) for sizes in rounds]).median for part in (0, 1)]
        last = rounds[-1]
        each = [size[0] for size in last.values()]
        told = ", ".join(f"{module} {size[0]:.0f}" for module, size in last.items())
        rows.append((name, f"{sums[0]:.0f}", f"{sums[1]:.0f}", f"{min(each):.0f}–{max(each):.0f}", told))
    return rows


def _figure(values: Sequence[float]) -> Figure:
    return Figure(statistics.median(values), min(values), max(values))
