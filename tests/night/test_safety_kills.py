"""`kill -9` of every module in turn with the roof open: the roof closes, or the module is back, within 30 s."""

from __future__ import annotations

from pathlib import Path

import pytest

from night.killed_site import MODULES, Fate, KilledSite, killed_site

WITHIN = 30.0


def kill_all(site: KilledSite) -> list[Fate]:
    fates = []
    for name in MODULES:
        site.open_roof()
        fates.append(site.kill(name))
        print(f"{name}: {'the roof closes' if fates[-1].closing else 'back'} after {fates[-1].after:.1f} s")
    site.open_roof()
    return fates


def held(fates: list[Fate]) -> None:
    assert [fate for fate in fates if fate.after > WITHIN] == []
    assert [fate.module for fate in fates] == list(MODULES)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("bus", ["http", "prosody"])
def test_whatever_is_killed_the_roof_closes_or_it_is_back(tmp_path: Path, bus: str) -> None:
    with killed_site(tmp_path, bus) as site:
        held(kill_all(site))
        assert site.roof() == 1.0


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("bus", ["http", "prosody", "ejabberd"])
def test_ten_times_over(tmp_path: Path, bus: str) -> None:
    with killed_site(tmp_path, bus) as site:
        for _ in range(10):
            held(kill_all(site))
