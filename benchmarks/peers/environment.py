"""Environments of the peers: each has its own, made from its list of requirements when it is first used.

`python -m benchmarks.peers.environment alpaca` makes one beforehand.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

HOME = Path(".venv-peers")
LISTS = Path(__file__).parent
ALONE = "# --no-deps"
"""Begins a list of what is installed without what it asks for."""
_WITHIN = 900.0


def peer_python(name: str) -> Path:
    """The python of a peer, whose environment is made or brought up to date. Raises `CalledProcessError`."""
    HOME.mkdir(exist_ok=True)
    with (HOME / f"{name}.lock").open("w") as lock:
        # Of several processes that want it one makes it.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _made(LISTS / f"{name}.txt", (HOME / name).absolute())


def _made(wanted: Path, directory: Path) -> Path:
    python, made_from = directory / "bin" / "python", directory / "made-from.txt"
    if python.exists() and made_from.exists() and made_from.read_text() == wanted.read_text():
        return python
    print(f"installing {directory.name} into {directory}", file=sys.stderr, flush=True)
    alone = ["--no-deps"] if wanted.read_text().startswith(ALONE) else []
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv:
        _run(uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(directory))
        _run(uv, "pip", "install", "--quiet", "--python", str(python), *alone, "-r", str(wanted))
    else:
        _run(sys.executable, "-m", "venv", "--clear", str(directory))
        _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *alone, "-r", str(wanted))
    made_from.write_text(wanted.read_text())
    return python


def peer_versions(python: Path, *packages: str) -> str:
    """The versions of some packages there, and that of its Python."""
    code = (
        "import platform, sys; from importlib.metadata import version\n"
        "told = [f'{name} {version(name)}' for name in sys.argv[1:]]\n"
        "print(', '.join([*told, f'Python {platform.python_version()}']))"
    )
    done = subprocess.run([python, "-c", code, *packages], check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=_WITHIN)


if __name__ == "__main__":
    for peer in sys.argv[1:]:
        peer_python(peer)
