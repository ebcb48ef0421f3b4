"""Pointing models: known terms are found again, and applied they cancel the error."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytel.base.errors import InvalidParams
from pytel.sky.pointing_model import ALTAZIMUTH, EQUATORIAL, PointingFitFailed, PointingModel, fit_pointing, term_names
from pytel.sky.sphere import separation

LATITUDE = -32.4
TERMS = {"IH": 35.0, "ID": -20.0, "CH": 12.0, "NP": -8.0, "MA": 25.0, "ME": -40.0, "TF": 15.0}


def places(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-70, 70, count), rng.uniform(-75, 30, count)


def errors(model: PointingModel, hours: np.ndarray, decs: np.ndarray, noise: float = 0.0) -> list[tuple[float, float]]:
    rng = np.random.default_rng(2)
    exact = [model.error(h, d) for h, d in zip(hours, decs, strict=True)]
    return [(east + noise * rng.normal(), north + noise * rng.normal()) for east, north in exact]


@pytest.mark.parametrize(
    ("mount", "terms"),
    [("equatorial", TERMS), ("altazimuth", {"IA": 30.0, "IE": -12.0, "CA": 9.0, "AN": 22.0, "AW": -17.0, "TF": 6.0})],
)
def test_known_terms_are_found_again(mount: str, terms: dict[str, float]) -> None:
    hours, decs = places(60)
    model = PointingModel(mount, LATITUDE, terms)
    fit = fit_pointing(list(hours), list(decs), errors(model, hours, decs, 0.5), LATITUDE, mount=mount)
    assert fit.rms_before > 30.0
    assert fit.rms_after < 1.0
    for name, value in terms.items():
        assert fit.model.terms.get(name, 0.0) == pytest.approx(value, abs=6 * fit.uncertainties.get(name, 0.5) + 0.5)


def test_waves_stand_in_for_what_no_term_explains() -> None:
    hours, decs = places(80)
    terms = {"IH": 20.0, "ES1+1": 14.0, "NC2+0": 9.0}
    model = PointingModel("equatorial", LATITUDE, terms)
    fit = fit_pointing(list(hours), list(decs), errors(model, hours, decs, 0.3), LATITUDE)
    assert fit.rms_after < 0.6
    others = places(40, seed=9)
    left = [math.dist(fit.model.error(h, d), model.error(h, d)) for h, d in zip(*others, strict=True)]
    assert np.median(left) < 0.5


def test_scatter_alone_is_given_no_terms() -> None:
    hours, decs = places(40)
    fit = fit_pointing(list(hours), list(decs), errors(PointingModel("equatorial", 50.0, {}), hours, decs, 3.0), 50.0)
    assert len(fit.model.terms) <= 4


def test_a_wrong_solution_is_left_out() -> None:
    hours, decs = places(30)
    measured = errors(PointingModel("equatorial", LATITUDE, TERMS), hours, decs, 0.5)
    measured[7] = (4000.0, -2000.0)
    fit = fit_pointing(list(hours), list(decs), measured, LATITUDE)
    assert not fit.used[7]
    assert fit.rms_after < 1.5


def test_too_few_and_unknown_are_refused() -> None:
    with pytest.raises(PointingFitFailed, match="5 pointings"):
        fit_pointing([0.0] * 5, [0.0] * 5, [(0.0, 0.0)] * 5, 50.0)
    with pytest.raises(InvalidParams, match="no term 'XX'"):
        PointingModel("equatorial", 50.0, {"XX": 1.0}).error(0.0, 0.0)
    with pytest.raises(InvalidParams, match="equatorial or altazimuth"):
        PointingModel("fork", 50.0, {}).error(0.0, 0.0)


@given(
    hour=st.floats(-80, 80),
    dec=st.floats(-85, 85),
    mount=st.sampled_from(["equatorial", "altazimuth"]),
    size=st.floats(-60, 60),
    data=st.data(),
)
def test_aiming_undoes_the_error(hour: float, dec: float, mount: str, size: float, data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(term_names(mount)), max_size=4, unique=True))
    model = PointingModel(mount, 50.0, dict.fromkeys(names, size))
    ra = 120.0
    aimed = model.aim(ra, dec, hour)
    true = model.true_place(*aimed, hour - (aimed[0] - ra))
    altitude = math.asin(
        math.sin(math.radians(dec)) * math.sin(math.radians(50.0))
        + math.cos(math.radians(dec)) * math.cos(math.radians(50.0)) * math.cos(math.radians(hour))
    )
    if mount == "equatorial" or math.radians(5) < altitude < math.radians(80):
        assert separation(ra, dec, *true) * 3600 < 0.01


def test_names_are_the_usual_ones() -> None:
    assert set(EQUATORIAL) >= {"IH", "ID", "CH", "NP", "MA", "ME", "TF"}
    assert set(ALTAZIMUTH) >= {"IA", "IE", "CA", "AN", "AW"}
