"""The pages on devices: what they show for a site file is accepted by `pytel check`."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

DEVICES = Path(__file__).parents[2] / "docs" / "devices"
PAGES = sorted(page.name for page in DEVICES.glob("*.md"))
PYTEL = str(Path(sys.executable).with_name("pytel"))
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
_ELSEWHERE = {"indi.md": 1}
"""Pages with blocks of shell: tests/devices/indi/test_device.py does what they say."""


def shown(page: str, language: str) -> list[str]:
    return [text for found, text in _BLOCK.findall((DEVICES / page).read_text(encoding="utf-8")) if found == language]


def test_no_block_is_left_out() -> None:
    for page in PAGES:
        blocks = _BLOCK.findall((DEVICES / page).read_text(encoding="utf-8"))
        assert len(blocks) == len(shown(page, "yaml")) + len(shown(page, "sh")), page
        assert len(shown(page, "sh")) == _ELSEWHERE.get(page, 0), page


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_its_examples_are_accepted(page: str, tmp_path: Path) -> None:
    blocks = shown(page, "yaml")
    assert blocks
    for block in blocks:
        modules = "".join(f"  {line}\n" for line in block.splitlines())
        store = "" if "\n  store:" in modules else "  store: {type: directory-store}\n"
        site = f"site: {{name: a, latitude: 50, longitude: 10}}\nmodules:\n{store}{modules}"
        (tmp_path / "site.yaml").write_text(site, encoding="utf-8")
        done = subprocess.run(
            [PYTEL, "check", "site.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, f"{page}: {done.stdout}{done.stderr}"


def test_every_driver_of_a_protocol_is_shown() -> None:
    text = "".join(block for page in PAGES for block in shown(page, "yaml"))
    for point in entry_points(group="pytel.modules"):
        if point.value.startswith(("pytel.devices.indi.", "pytel.devices.alpaca.")):
            assert f"type: {point.name}\n" in text or f"type: {point.name}," in text, point.name
