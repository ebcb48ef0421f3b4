"""Nights with random faults: what must hold, holds."""

from __future__ import annotations

import random

import msgspec
import pytest

from pytel.base import clock
from pytel.devices.simulated.roof import SimulatedRoof
from pytel.testing import NightResult, run_nights

FIXED = range(1, 13)
FRESH = range(8)


def held(results: list[NightResult]) -> None:
    for result in results:
        assert not result.violations, str(result)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", FIXED)
def test_nights_of_fixed_seeds(seed: int) -> None:
    held(run_nights(1, seed))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", FRESH)
def test_nights_of_fresh_seeds(number: int) -> None:
    held(run_nights(1, random.SystemRandom().randrange(10**9)))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_night_of_one_seed_is_the_same_every_time() -> None:
    one, other = (msgspec.structs.replace(run_nights(1, 77)[0], wall_time=0.0) for _ in range(2))
    assert one == other
    assert one.faults


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_driver_that_does_not_close_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def doze(driver: SimulatedRoof) -> None:
        await clock.sleep(0.1)

    monkeypatch.setattr(SimulatedRoof, "begin_close", doze)
    result = run_nights(1, 100)[0]
    assert any("the roof is not closing" in violation for violation in result.violations), str(result)
    told = str(result)
    assert told.startswith("seed 100: ")
    assert "history:" in told
    assert "weather turns bad" in told
