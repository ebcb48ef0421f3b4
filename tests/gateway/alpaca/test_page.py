"""What the page about the Alpaca server shows is carried out."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.alpaca.kit import AlpacaSite, in_a_thread
from pytel.base.threads import in_thread
from pytel.interfaces.enclosure import EnclosureState, EnclosureStatus
from pytel.interfaces.images import NewImage
from pytel.module.sitefile import parse_site
from pytel.module.yaml_lines import read_yaml
from pytel.testing.observatory import default_site

PAGE = (Path(__file__).parents[3] / "docs" / "alpaca-server.md").read_text(encoding="utf-8")
SHOWN = "127.0.0.1:11111"


def shown(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.S | re.M)


def test_the_site_files(tmp_path: Path) -> None:
    assert len(shown("yaml")) == 2
    for text in shown("yaml"):
        site = default_site()
        described, _, _ = read_yaml(text, "alpaca-server.md")
        site["modules"] |= described["modules"]
        _, faults = parse_site(site, directory=tmp_path)
        assert not faults, text


@pytest.mark.slow
async def test_the_session_in_python(site: AlpacaSite) -> None:
    await site.safe()
    (text,) = shown("python")
    known: dict[str, Any] = {}
    await in_a_thread(lambda: exec(compile(text.replace(SHOWN, site.address), "alpaca-server.md", "exec"), known))
    assert (len(known["image"]), len(known["image"][0])) == (2048, 2048)
    assert any(heard.status is EnclosureStatus.OPEN for heard in site.observatory.heard(EnclosureState))
    assert len(site.observatory.heard(NewImage)) == 1


async def test_the_session_with_curl(site: AlpacaSite) -> None:
    (block,) = shown("console")
    for line in block.splitlines():
        command = line.removeprefix("$ ").replace(SHOWN, site.address)

        def run(command: str = command) -> str:
            done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=20, check=True)
            return done.stdout

        answer = await in_thread(run)
        assert '"ErrorNumber":0' in answer, (command, answer)
