"""The page about HTTP is carried out: its commands are typed into a shell while the demonstration runs."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from docs.test_docs import BIN, ROOT, Site, _environment, folder, start
from pytel.cli.demo.folder import DemoFolder
from pytel.cli.demo.options import DemoOptions

__all__ = ["folder", "start"]
PAGE = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
PASSWORD = "correct horse"
_MARK = "=== done: "


def commands() -> list[str]:
    """All that a reader types, without remarks."""
    blocks = re.findall(r"^```console\n(.*?)^```", PAGE, re.S | re.M)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [re.sub(r"  +# .*", "", line) for line in lines if not line.startswith("$ source") and "source " not in line]


def address_of(site: Site) -> str:
    """Where the demonstration says that it is found."""
    for _ in range(200):
        if found := re.search(r"http://127\.0\.0\.1:\d+", site.output()):
            return found[0]
        time.sleep(0.1)
    raise AssertionError(site.output())


def free_ports(count: int) -> int:
    """The first of some ports that nobody has, below those that clients are given."""
    for first in random.sample(range(20_000, 30_000), 100):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("there are no free ports")


def over_http(folder: Path) -> str:
    """The site of the demonstration, with each module a server of its own; what starts it."""
    demo = DemoFolder(DemoOptions(out=folder / "demo-night"))
    demo.prepare()
    text = demo.site_file.read_text(encoding="utf-8")
    text = text.replace("bus: local", f"bus: http\nhttp: {{port: {free_ports(20)}}}")
    demo.site_file.write_text(text, encoding="utf-8")
    return f"pytel run {demo.site_file}"


def type_all(folder: Path, address: str) -> dict[str, str]:
    """Type all commands into one shell; the output of each."""
    typed = []
    for command in commands():
        given = command.replace("http://127.0.0.1:8080", address)
        if given.startswith("pytel account add"):
            given = f"echo '{PASSWORD}' | {given}"
        typed += [given, f"echo; echo '{_MARK}'"]
    script = folder / "session.sh"
    script.write_text("set -e -o pipefail\n" + "\n".join(typed) + "\n", encoding="utf-8")
    done = subprocess.run(
        ["bash", str(script)],
        cwd=folder,
        env={**_environment(), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    outputs = done.stdout.split(_MARK)
    assert done.returncode == 0, (commands()[len(outputs) - 1], outputs[-1], done.stderr)
    return dict(zip(commands(), (output.strip() for output in outputs), strict=False))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("bus", ["local", "xmpp", "http"])
def test_a_session_with_curl_alone(bus: str, folder: Path, start: Callable[[str], Site]) -> None:
    """The same session, whatever the bus of the site is."""
    site = start(f"pytel demo --headless --bus {bus}" if bus != "http" else over_http(folder))
    said = type_all(folder, address_of(site))
    for command, output in said.items():
        if command.startswith("rpc ") and output.startswith("{"):
            assert "result" in json.loads(output), (command, output)
    described = json.loads((folder / "observatory.json").read_text())["result"]
    assert {"telescope", "camera", "store", "gateway"} <= set(described)
    waited = {command: json.loads(output)["result"] for command, output in said.items() if "job.wait" in command}
    assert [result["status"] for result in waited.values()] == ["done", "done"]
    assert (folder / "dark.fits").read_bytes().startswith(b"SIMPLE  =                    T")
    assert (folder / "dark.webp").read_bytes()[8:12] == b"WEBP"
    told = "".join(said.values())
    assert "event: begin" in told
    assert '"way":"token today"' in told
    assert '"way":"session"' in told
    record = [
        json.loads(line)
        for line in (folder / "demo-night" / "state" / "gateway" / "audit.jsonl").read_text().splitlines()
    ]
    assert {"telescope.move_altaz", "camera.expose"} <= {entry.get("method") for entry in record}
    assert PASSWORD not in json.dumps(record)


def test_every_command_of_the_page_is_typed() -> None:
    assert len(commands()) > 20
    assert not [command for command in commands() if "wget" in command]
