"""What the page on reduction says is so: its site runs, its cards are written, its steps exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytel.archive.reduction.module import NightReduction
from pytel.imaging.quality import FrameQuality, quality_cards

PAGE = (Path(__file__).parents[2] / "docs" / "reduction.md").read_text(encoding="utf-8")
PYTEL = str(Path(sys.executable).with_name("pytel"))


@pytest.mark.slow
def test_its_site_file_is_right(tmp_path: Path) -> None:
    (block,) = re.findall(r"```yaml\n(site: .*?)```", PAGE, re.S)
    (tmp_path / "site.yaml").write_text(block, encoding="utf-8")
    subprocess.run([PYTEL, "check", "site.yaml"], cwd=tmp_path, check=True, timeout=60)


def test_its_calls_and_options_exist() -> None:
    for name in re.findall(r"pytel call reduction\.(\w+)", PAGE):
        assert hasattr(NightReduction, name)
    for option in ("needs", "fewest", "temperature_tolerance", "workers", "nice", "scheduler", "settings"):
        assert option in NightReduction.Config.__struct_fields__
        assert f"`{option}`" in PAGE or f"{option}:" in PAGE


def test_its_cards_are_those_of_the_files() -> None:
    values = FrameQuality(
        fwhm=1.0, hfd=1.0, ellipticity=0.1, sky=20.0, zero_point=21.0, zero_point_error=0.01, above_atmosphere=21.2,
        extinction=0.15, transparency=1.0, limiting_magnitude=18.0,
    )  # fmt: skip
    for keyword in quality_cards(values):
        assert f"`{keyword}`" in PAGE
