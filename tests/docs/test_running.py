"""What the page on running a site says of systemd, is done."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "running-a-site.md"
PYTEL = str(Path(sys.executable).with_name("pytel"))
SITE = """\
site: {name: hilltop, latitude: 49.2, longitude: 8.4}
bus: xmpp
xmpp: {server: external}
modules:
  notifier: {type: log-notifier}
"""


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert found is not None
    return found[1]


def complaints(folder: Path) -> list[str]:
    """What systemd finds wrong with the units of a folder."""
    files = sorted(str(file) for file in folder.iterdir())
    environment = {**os.environ, "SYSTEMD_LOG_LEVEL": "warning", "SYSTEMD_UNIT_PATH": f"{folder}:"}
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    return [line for line in checked.stderr.splitlines() if "pytel-" in line]


def test_the_unit_of_the_page_is_one(tmp_path: Path) -> None:
    text = block("ini").replace("/opt/pytel/bin/pytel", PYTEL).replace("User=observatory", "User=root")
    (tmp_path / "pytel-hilltop.service").write_text(text)
    assert complaints(tmp_path) == []


def test_the_command_of_the_page_writes_what_is_copied(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE)
    first, second, *_ = [line.removeprefix("$ ") for line in block("console").splitlines()]
    subprocess.run([PYTEL, *first.split()[1:]], cwd=tmp_path, check=True, timeout=60, capture_output=True)
    copied = sorted(path.name for path in tmp_path.glob(second.split()[1]))
    assert copied == ["pytel-hilltop-notifier.service", "pytel-hilltop.target"]
