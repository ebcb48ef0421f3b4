"""Peers on the same frames: each in its own environment, with frames handed over as files."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.environment import peer_python, peer_versions

SCRIPTS = Path(__file__).parents[1] / "peers"


class Peer:
    """A script of `benchmarks/peers` that answers each line of file names with a line of JSON."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, versions: str) -> None:
        self._process, self._folder, self.versions = process, folder, versions

    def ask(self, *frames: NDArray[Any]) -> dict[str, Any]:
        """Hand over frames, and hear what it makes of them."""
        names = []
        for number, frame in enumerate(frames):
            names.append(str(self._folder / f"{number}.npy"))
            np.save(names[-1], frame)
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(names) + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Its next line."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the peer has ended: run its script by hand")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def peer(script: str, environment: str = "pyobs", *packages: str) -> Iterator[Peer]:
    """Run a script of `benchmarks/peers` for the length of a block."""
    python = peer_python(environment)
    versions = peer_versions(python, *(packages or ("pyobs-core", "numpy")))
    with tempfile.TemporaryDirectory(prefix="pytel-peer-") as name:
        process = subprocess.Popen(
            [python, "-W", "ignore", SCRIPTS / script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=name,
        )
        try:
            running = Peer(process, Path(name), versions)
            running.answer()
            yield running
        finally:
            process.kill()
            process.wait()
