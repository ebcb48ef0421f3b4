"""A frame of 16 megapixels from an INDI server into the image store, beside the other clients there are for Python.

`python -m benchmarks.indi_blob`, with `--rounds 25` more rounds than usual.

Server, store and cameras are processes of their own. The server has its frames encoded beforehand
(`benchmarks/indi_blob_server.py`). Peers run in the camera's place with all of pytel but the client.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.images import Process, _free_port
from benchmarks.indi_blob_server import DEVICES, SIDE, VARIANTS, frame
from benchmarks.measure import RESULTS, Figure, figure_of, report
from benchmarks.messaging.claims import HEAD, Claim
from benchmarks.messaging.processes import Neighbourhood
from benchmarks.peers.environment import peer_python, peer_versions

ROUNDS = 15
_FRAME = SIDE * SIDE * 2 / 2**20
_NAMES = {
    "ours-tcp": "pytel, TCP",
    "ours-unix": "pytel, Unix socket",
    "indipyclient-tcp": "indipyclient, TCP",
    "pyindi-tcp": "pyindi-client, TCP",
    "pyindi-unix": "pyindi-client, Unix socket",
}
Taken = dict[str, list[dict[str, float]]]


def main(options: Sequence[str] = ()) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.indi_blob")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    wanted = parser.parse_args(options)
    python = peer_python("indi")
    neighbours = Neighbourhood()
    RESULTS.mkdir(exist_ok=True)
    # On the disk of the working directory, as that of temporary files may be memory.
    with (
        tempfile.TemporaryDirectory(dir=RESULTS, prefix="indi-") as folder,
        _running(Path(folder).resolve(), python) as cameras,
    ):
        held = {name: _held(cameras[name]) for name in ("ours-tcp", "ours-unix")}
        taken = _rounds(cameras, wanted.rounds)
        others = neighbours.share_of_others()
    notes = [
        f"peers: {peer_versions(python, 'indipyclient', 'pyindi-client')}",
        f"{wanted.rounds} rounds; other programs used {others:.0%} of the processors",
    ]
    report("INDI frames", list(_table(taken)), "pytel-ocs", "pybase64", "numpy", notes=notes)
    claims = [HEAD, *(claim.row() for claim in _claims(taken, held))]
    report("INDI frames: claims", claims, "pytel-ocs", notes=notes)


def _rounds(cameras: dict[str, Process], rounds: int) -> Taken:
    crcs = [zlib.crc32(frame(number).tobytes()) for number in range(VARIANTS)]
    taken: Taken = {name: [] for name in cameras}
    for turn in range(-1, rounds):
        for name, camera in cameras.items():
            camera.order(f"take {turn % VARIANTS}")
            answer = camera.answer()
            if answer.pop("crc") != crcs[turn % VARIANTS]:
                raise AssertionError(f"{name} has brought other pixels into the store than the server sent")
            if turn >= 0:
                taken[name].append(answer)
    return taken


def _held(camera: Process) -> float:
    """Frames in memory at most, when twelve come in a row and nobody fetches them."""
    camera.order("hold")
    return float(camera.answer()["mebibytes"]) / _FRAME


@contextlib.contextmanager
def _running(folder: Path, python: Path) -> Iterator[dict[str, Process]]:
    port, path = _free_port(), f"/tmp/pytel-bench-{os.getpid()}"
    plan = {
        "folder": str(folder),
        "tcp": f"127.0.0.1:{port}",
        "unix": path,
        "ports": {role: _free_port() for role in ("store", *DEVICES)},
    }
    started: list[Process] = []

    def start(*words: str, env: str = "") -> Process:
        process = Process(["env", *([env] if env else []), sys.executable, "-m", *words])
        started.append(process)
        process.answer()
        return process

    try:
        start("benchmarks.indi_blob_server", str(port), path)
        theirs = f"PYTHONPATH={next(python.parent.parent.glob('lib/python*/site-packages'))}"
        cameras = {}
        start("benchmarks.indi_blob_camera", "store", json.dumps(plan))
        for role in DEVICES:
            env = "" if role.startswith("ours") else theirs
            cameras[role] = start("benchmarks.indi_blob_camera", role, json.dumps(plan), env=env)
        yield cameras
    finally:
        for process in reversed(started):
            process.end()


def _table(taken: Taken) -> Iterator[tuple[str, ...]]:
    yield ("client, transport", "asked to stored, ms (low–high)", "of it until the bytes are there", "processor ms")
    for name, answers in taken.items():
        columns: dict[str, Any] = {key: [answer[key] for answer in answers] for key in ("total", "client", "processor")}
        processor = f"{statistics.median(columns['processor']):.0f}"
        yield _NAMES[name], str(figure_of(columns["total"])), str(figure_of(columns["client"])), processor


def _claims(taken: Taken, held: dict[str, float]) -> Iterator[Claim]:
    for theirs in ("indipyclient-tcp", "pyindi-tcp"):
        yield Claim(f"{_NAMES[theirs]} / pytel, TCP", _ratio(taken, theirs, "ours-tcp"), 2.0, at_most=False)
        yield Claim(f"{_NAMES[theirs]} / pytel, Unix socket", _ratio(taken, theirs, "ours-unix"), 4.0, at_most=False)
    yield Claim("pyindi-client / pytel, both by the Unix socket", _ratio(taken, "pyindi-unix", "ours-unix"), 1.0, False)
    for name, frames in held.items():
        yield Claim(f"{_NAMES[name]}: frames in memory when nobody fetches them", Figure(frames, frames, frames), 4.5)


def _ratio(taken: Taken, above: str, below: str) -> Figure:
    return figure_of([one["total"] / other["total"] for one, other in zip(taken[above], taken[below], strict=True)])


if __name__ == "__main__":
    main(sys.argv[1:])
