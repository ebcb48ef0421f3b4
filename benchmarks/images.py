"""A 4096 x 4096 frame from the camera's readout to pixels in the consumer's memory.

`python -m benchmarks.images`, with `--rounds 25` more rounds than usual, with `--no-memory` without the 200 frames.

Store, camera and consumer are processes of their own. Floors are plain files and bare sendfile; the peer's image path
runs without its bus (what a bus adds to it is not counted), in an environment of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.images_modules import noise
from benchmarks.measure import RESULTS, Figure, figure_of, report, rounds_of
from benchmarks.messaging.claims import HEAD, Claim
from benchmarks.messaging.processes import Neighbourhood
from benchmarks.peers.environment import peer_python, peer_versions

ROUNDS = 9
FRAMES_FOR_MEMORY = 200
PEER = Path(__file__).parent / "peers" / "images_pyobs.py"
_DEADLINE = 60.0
_FLOOR = "floor: plain file, written, synced, read"
_HERE = "mapped file"
_CONSUMER_AWAY = "consumer elsewhere, over HTTP"
_BOTH_AWAY = "camera and consumer elsewhere, over HTTP"
_THEIRS = "pyobs-core, its image path over HTTP"


class Process:
    """One of the processes: orders go in, answers come out as JSON."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def order(self, text: str) -> None:
        """Say what is to be done."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The next answer. Raises `TimeoutError` when it does not come within a minute."""
        assert self._process.stdout is not None
        timer = threading.Timer(_DEADLINE, self._process.kill)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            raise TimeoutError("a process of the benchmark ended or did not answer")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def rss(self) -> float:
        """Resident memory in MiB: its own, without pages of files."""
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024

    def cpu(self) -> float:
        """Processor seconds used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Ours:
    """Three modules; `far` ones do not see the store's directory."""

    def __init__(self, folder: Path, *far: str) -> None:
        roles = ("store", "camera", "consumer")
        folder.mkdir()
        plan = {
            "folder": str(folder),
            "far": far,
            "ports": {role: _free_port() for role in roles},
        }
        self.processes = {role: _module(role, plan) for role in roles}
        for process in self.processes.values():
            process.answer()

    def frame(self) -> float:
        """Seconds from readout to pixels."""
        self.processes["camera"].order("take")
        taken, seen = self.processes["camera"].answer(), self.processes["consumer"].answer()
        _check(taken, seen)
        self.processes["consumer"].order("release")
        self.processes["consumer"].answer()
        return float(seen["done"]) - float(taken["read"])

    def end(self) -> None:
        """End the processes."""
        for process in reversed(self.processes.values()):
            process.end()


class Theirs:
    """The peer: cache, camera and consumer."""

    def __init__(self, python: str) -> None:
        port = str(_free_port())
        self.processes = {role: Process([python, str(PEER), role, port]) for role in ("store", "camera", "consumer")}
        for process in self.processes.values():
            process.answer()

    def frame(self) -> float:
        """Seconds from readout to pixels."""
        self.processes["camera"].order("take")
        taken = self.processes["camera"].answer()
        self.processes["consumer"].order(f"read {taken['id']}")
        seen = self.processes["consumer"].answer()
        _check(taken, seen)
        return float(seen["done"]) - float(taken["read"])

    def end(self) -> None:
        """End the processes."""
        for process in self.processes.values():
            process.end()


def _module(role: str, plan: dict[str, Any]) -> Process:
    return Process([sys.executable, "-m", "benchmarks.images_modules", role, json.dumps(plan)])


def _check(taken: dict[str, Any], seen: dict[str, Any]) -> None:
    if (taken["id"], taken["crc"]) != (seen["id"], seen["crc"]):
        raise AssertionError(f"the consumer has other pixels than the camera: {taken} {seen}")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def plain_file(frame: Any, folder: Path) -> float:
    """The floor on one host: write the pixels as they are, sync, read them."""
    path = folder / f"{time.time_ns()}.raw"
    begun = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        file.write(memoryview(frame).cast("B"))
        os.fsync(file.fileno())
    values = np.fromfile(path, np.uint16)
    taken = time.perf_counter() - begun
    if not (values.reshape(frame.shape) == frame).all():
        raise AssertionError("the file has other pixels")
    path.unlink()
    return taken


def plain_fits(frame: Any, folder: Path) -> float:
    """The same as FITS, by astropy without any check."""
    from astropy.io import fits

    path = folder / f"{time.time_ns()}.fits"
    begun = time.perf_counter()
    with path.open("wb") as file:
        fits.PrimaryHDU(frame).writeto(file)
        file.flush()
        os.fsync(file.fileno())
    with fits.open(path, memmap=False) as units:
        values = units[0].data
    taken = time.perf_counter() - begun
    if not (values == frame).all():
        raise AssertionError("the file has other pixels")
    path.unlink()
    return taken


def bare_sendfile(frame: Any, folder: Path) -> float:
    """The floor over a socket: write the pixels, sync, sendfile, receive into an array."""
    path = folder / f"{time.time_ns()}.raw"
    values = np.empty_like(frame)
    begun = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        file.write(memoryview(frame).cast("B"))
        os.fsync(file.fileno())
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = threading.Thread(target=_send, args=(server, path))
        sender.start()
        with socket.create_connection(server.getsockname()) as connection:
            left = memoryview(values).cast("B")
            while left:
                left = left[connection.recv_into(left) :]
        sender.join()
    taken = time.perf_counter() - begun
    if not (values == frame).all():
        raise AssertionError("the socket gave other pixels")
    path.unlink()
    return taken


def _send(server: socket.socket, path: Path) -> None:
    connection, _ = server.accept()
    with connection, path.open("rb") as file:
        connection.sendfile(file)


@contextlib.contextmanager
def _running(folder: Path) -> Iterator[dict[str, Ours | Theirs]]:
    systems: dict[str, Ours | Theirs] = {}
    try:
        systems[_HERE] = Ours(folder / "a")
        systems[_CONSUMER_AWAY] = Ours(folder / "b", "consumer")
        systems[_BOTH_AWAY] = Ours(folder / "c", "camera", "consumer")
        systems[_THEIRS] = Theirs(str(peer_python("pyobs")))
        yield systems
    finally:
        for system in systems.values():
            system.end()


def main(options: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--no-memory", action="store_true")
    wanted = parser.parse_args(options)
    neighbours = Neighbourhood()
    frame = noise(1)
    RESULTS.mkdir(exist_ok=True)
    # On the disk of the working directory, as that of temporary files may be memory.
    with tempfile.TemporaryDirectory(dir=RESULTS, prefix="images-") as name:
        folder = Path(name).resolve()
        with _running(folder) as systems:
            floors: dict[str, Callable[[], float]] = {
                _FLOOR: lambda: plain_file(frame, folder),
                "floor: plain file, then bare sendfile": lambda: bare_sendfile(frame, folder),
                "a FITS file by astropy, synced, unchecked": lambda: plain_fits(frame, folder),
            }
            cases = floors | {name: system.frame for name, system in systems.items()}
            for case in cases.values():
                case()
            taken = rounds_of({name: functools.partial(_ms, case) for name, case in cases.items()}, wanted.rounds)
            others = neighbours.share_of_others()
            memory = [] if wanted.no_memory else _memory(systems)
    notes = [
        f"peer: {peer_versions(peer_python('pyobs'), 'pyobs-core', 'astropy', 'aiohttp')}",
        f"{wanted.rounds} rounds; other programs used {others:.0%} of the processors",
    ]
    rows = _table(taken, {row[0]: row[3] for row in memory[1:]})
    report("Images", rows, "pytel-ocs", "numpy", "astropy", "aiohttp", "uvicorn", notes=notes)
    report("Images: claims", [HEAD, *(claim.row() for claim in _claims(taken))], "pytel-ocs", notes=notes)
    if memory:
        report("Memory of the image store", [row[:3] for row in memory], "pytel-ocs")


def _table(taken: dict[str, list[float]], processor: dict[str, str]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("readout to pixels, 4096 x 4096", "ms (low–high)", "processor ms")]
    return rows + [(name, str(figure_of(values)), processor.get(name, "")) for name, values in taken.items()]


def _claims(taken: dict[str, list[float]]) -> Iterator[Claim]:
    """What is claimed, each round by itself."""
    yield Claim("same host: mapped file / plain file, synced", _ratio(taken, _HERE, _FLOOR), 2.0)
    for ours in (_HERE, _CONSUMER_AWAY, _BOTH_AWAY):
        yield Claim(f"{ours} / pyobs-core", _ratio(taken, ours, _THEIRS), 0.5)


def _ratio(taken: dict[str, list[float]], ours: str, theirs: str) -> Figure:
    return figure_of([one / other for one, other in zip(taken[ours], taken[theirs], strict=True)])


def _ms(case: Callable[[], float]) -> float:
    return case() * 1000


def _memory(systems: dict[str, Ours | Theirs]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("store", "frames", "RSS in MiB", "processor ms of all processes for a frame")]
    for name, system in systems.items():
        frames = 25 if isinstance(system, Theirs) else FRAMES_FOR_MEMORY
        before = sum(process.cpu() for process in system.processes.values())
        for _ in range(frames):
            system.frame()
        used = sum(process.cpu() for process in system.processes.values()) - before
        rows.append((name, str(frames), f"{system.processes['store'].rss():.0f}", f"{used / frames * 1000:.0f}"))
    return rows


if __name__ == "__main__":
    main(sys.argv[1:])
