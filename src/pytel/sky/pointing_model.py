"""A mount's pointing model: where it really points, from where it believes to point.

The terms and their names are those of Wallace (TPoint; see "A rigorous algorithm for telescope pointing", 2002, SPIE
4848, 125, and the TPoint manual), the sense is that of an error: what is to be added to the mount's place to get the
true one. Angles in degrees, errors in arcseconds on the sky, east and north.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytel.base.errors import InvalidParams, PytelError
from pytel.base.units import Arcsec
from pytel.sky.sphere import offset_by, project

Array = NDArray[np.float64]
_Term = Callable[[Array, Array, float], tuple[Array, Array]]
"""(longitude, latitude, site latitude) in radians to the change of both, for a coefficient of one."""

_REJECTED_BEYOND = 4.0
_FEWEST = 8
_MARGIN = 6.0
"""By how much Bayes' criterion (Schwarz 1978) must fall for one more term: chance alone seldom reaches it."""


class PointingFitFailed(PytelError):
    """The measurements do not suffice for a pointing model."""


def _zero(like: Array) -> Array:
    return np.zeros_like(like)


EQUATORIAL: dict[str, _Term] = {
    "IH": lambda h, d, phi: (np.ones_like(h), _zero(h)),
    "ID": lambda h, d, phi: (_zero(h), np.ones_like(h)),
    "CH": lambda h, d, phi: (1 / np.cos(d), _zero(h)),
    "NP": lambda h, d, phi: (np.tan(d), _zero(h)),
    "MA": lambda h, d, phi: (-np.cos(h) * np.tan(d), np.sin(h)),
    "ME": lambda h, d, phi: (np.sin(h) * np.tan(d), np.cos(h)),
    "TF": lambda h, d, phi: (
        math.cos(phi) * np.sin(h) / np.cos(d),
        math.cos(phi) * np.cos(h) * np.sin(d) - math.sin(phi) * np.cos(d),
    ),
    "DAF": lambda h, d, phi: (-(math.cos(phi) * np.cos(h) + math.sin(phi) * np.tan(d)), _zero(h)),
    "FO": lambda h, d, phi: (_zero(h), np.cos(h)),
}
"""Index errors, collimation, axes not perpendicular, polar axis in azimuth and elevation, tube, axis, fork."""

ALTAZIMUTH: dict[str, _Term] = {
    "IA": lambda a, e, phi: (np.ones_like(a), _zero(a)),
    "IE": lambda a, e, phi: (_zero(a), np.ones_like(a)),
    "CA": lambda a, e, phi: (1 / np.cos(e), _zero(a)),
    "NPAE": lambda a, e, phi: (np.tan(e), _zero(a)),
    "AN": lambda a, e, phi: (np.sin(a) * np.tan(e), np.cos(a)),
    "AW": lambda a, e, phi: (np.cos(a) * np.tan(e), -np.sin(a)),
    "TF": lambda a, e, phi: (_zero(a), np.cos(e)),
}
"""Index errors, collimation, axes not perpendicular, tilt of the azimuth axis to north and west, tube."""

_WAVES = tuple((m, n) for m in range(3) for n in range(-2, 3) if (m, n) > (0, 0))
_HARMONICS: dict[str, tuple[int, int, int, Callable[[Array], Array]]] = {
    f"{'EN'[axis]}{letter}{m}{n:+d}": (axis, m, n, wave)
    for axis in (0, 1)
    for m, n in _WAVES
    for letter, wave in (("S", np.sin), ("C", np.cos))
}
"""Waves over hour angle and declination for what has no better explanation: component (0 east, 1 north), m, n."""
_FIRST = {"equatorial": ("IH", "ID"), "altazimuth": ("IA", "IE")}


def term_names(mount: str) -> tuple[str, ...]:
    """All terms that a model may have. `ES1+2` is a wave: arcsec to the east times sin(h + 2 dec)."""
    return (*_physical(mount), *_HARMONICS)


def _physical(mount: str) -> dict[str, _Term]:
    if mount not in _FIRST:
        raise InvalidParams(f"a mount is equatorial or altazimuth, not {mount!r}")
    return EQUATORIAL if mount == "equatorial" else ALTAZIMUTH


@dataclass(frozen=True)
class PointingModel:
    """Errors of a mount over the sky of a site; `terms` in arcseconds by name."""

    mount: str
    latitude: float
    terms: Mapping[str, Arcsec]

    def error(self, hour_angle: float, dec: float) -> tuple[Arcsec, Arcsec]:
        """What is to be added (east, north) to where the mount believes it points."""
        east, north = _basis(self.mount, tuple(self.terms), np.array([hour_angle]), np.array([dec]), self.latitude)
        values = np.array(list(self.terms.values()))
        return float(east[0] @ values), float(north[0] @ values)

    def true_place(self, ra: float, dec: float, hour_angle: float) -> tuple[float, float]:
        """Where a mount really points that believes to point at (ra, dec), degrees."""
        return offset_by(ra, dec, *self.error(hour_angle, dec))

    def aim(self, ra: float, dec: float, hour_angle: float) -> tuple[float, float]:
        """Where to send the mount so that it really points at (ra, dec), degrees."""
        there = (ra, dec)
        for _ in range(3):
            reached = self.true_place(*there, hour_angle - (there[0] - ra))
            missing = project(ra, dec, *reached)
            there = offset_by(*there, missing[0] * 3600, missing[1] * 3600)
        return there


@dataclass(frozen=True)
class PointingFit:
    """A model with how well it is known: arcseconds; `used` tells which measurements were not rejected."""

    model: PointingModel
    uncertainties: Mapping[str, Arcsec]
    rms_before: Arcsec
    rms_after: Arcsec
    used: tuple[bool, ...]
    residuals: tuple[tuple[Arcsec, Arcsec], ...]


def fit_pointing(
    hour_angles: Sequence[float],
    decs: Sequence[float],
    errors: Sequence[tuple[Arcsec, Arcsec]],
    latitude: float,
    *,
    mount: str = "equatorial",
) -> PointingFit:
    """Fit a model to measured errors (true place less the mount's, east and north).

    Physical terms are taken first, and of all terms only those that the measurements call for (Bayesian information
    criterion). Outliers are rejected. Raises `PointingFitFailed` below 8 measurements, `InvalidParams`.
    """
    h, d, measured = np.asarray(hour_angles, float), np.asarray(decs, float), np.asarray(errors, float).reshape(-1, 2)
    if len(h) != len(d) or len(h) != len(measured):
        raise InvalidParams("hour angles, declinations and errors are not equally many")
    if len(h) < _FEWEST:
        raise PointingFitFailed(f"{len(h)} pointings were measured, {_FEWEST} are needed", measured=len(h))
    design = _Design(mount, h, d, measured, latitude)
    used = np.ones(len(h), dtype=np.bool_)
    for _ in range(6):
        names = design.chosen(used)
        residuals = measured - design.predicted(names, design.solved(names, used)[0])
        sizes = np.hypot(*residuals.T)
        kept = sizes <= max(_REJECTED_BEYOND * float(np.median(sizes)), 0.5)
        if (kept == used).all() or kept.sum() < _FEWEST:
            break
        used = kept
    values, sigma = design.solved(names, used)
    residuals = measured - design.predicted(names, values)
    return PointingFit(
        model=PointingModel(mount, latitude, {n: round(float(v), 4) for n, v in zip(names, values, strict=True)}),
        uncertainties={n: round(float(s), 4) for n, s in zip(names, sigma, strict=True)},
        rms_before=_rms(measured[used]),
        rms_after=_rms(residuals[used]),
        used=tuple(bool(value) for value in used),
        residuals=tuple((float(east), float(north)) for east, north in residuals),
    )


class _Design:
    """What all terms do at the measured places, computed once."""

    def __init__(self, mount: str, h: Array, d: Array, measured: Array, latitude: float) -> None:
        self._physical, self._names = tuple(_physical(mount)), term_names(mount)
        self._first = _FIRST[mount]
        self._index = {name: column for column, name in enumerate(self._names)}
        self._columns = np.stack(_basis(mount, self._names, h, d, latitude))
        self._measured = measured

    def chosen(self, used: NDArray[np.bool_]) -> tuple[str, ...]:
        """Add the term that explains most, as long as it is worth its freedom; harmonics only after physical ones."""
        names: tuple[str, ...] = self._first
        most = max(len(names), int(used.sum()) // 3)
        score = self._score(names, used)
        for candidates in (self._physical, self._names):
            while len(names) < most:
                scores = {name: self._score((*names, name), used) for name in candidates if name not in names}
                best = min(scores, key=lambda name: scores[name], default=None)
                if best is None or scores[best] > score - _MARGIN:
                    break
                names, score = (*names, best), scores[best]
        return names

    def solved(self, names: tuple[str, ...], used: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Coefficients and their errors, by least squares."""
        design, wanted = self._equations(names, used)
        values, *_ = np.linalg.lstsq(design, wanted, rcond=1e-10)
        variance = float(np.sum((wanted - design @ values) ** 2)) / max(1, len(wanted) - len(names))
        covariance = np.linalg.pinv(design.T @ design) * variance
        return np.asarray(values), np.sqrt(np.maximum(np.diag(covariance), 0.0))

    def predicted(self, names: tuple[str, ...], values: Array) -> Array:
        """East and north at all places."""
        columns = [self._index[name] for name in names]
        return np.stack([part[:, columns] @ values for part in self._columns], axis=1)

    def _score(self, names: tuple[str, ...], used: NDArray[np.bool_]) -> float:
        """Bayes' information criterion; the smaller the better."""
        design, wanted = self._equations(names, used)
        values, *_ = np.linalg.lstsq(design, wanted, rcond=1e-10)
        rest = float(np.sum((wanted - design @ values) ** 2))
        return len(wanted) * math.log(max(rest, 1e-9) / len(wanted)) + len(names) * math.log(len(wanted))

    def _equations(self, names: tuple[str, ...], used: NDArray[np.bool_]) -> tuple[Array, Array]:
        columns = [self._index[name] for name in names]
        design = np.concatenate([part[used][:, columns] for part in self._columns])
        return design, self._measured[used].T.reshape(-1)


def _basis(mount: str, names: tuple[str, ...], h: Array, d: Array, latitude: float) -> tuple[Array, Array]:
    """What each term (column) moves at each place (row): east and north."""
    hour, dec, phi = np.radians(h), np.radians(np.clip(d, -89.9, 89.9)), math.radians(latitude)
    physical, harmonics = _physical(mount), _HARMONICS
    east, north = np.zeros((len(h), len(names))), np.zeros((len(h), len(names)))
    for column, name in enumerate(names):
        if name in physical:
            east[:, column], north[:, column] = _moved(mount, physical[name], hour, dec, phi)
        elif name in harmonics:
            axis, m, n, wave = harmonics[name]
            (east, north)[axis][:, column] = wave(m * hour + n * dec)
        else:
            raise InvalidParams(f"a pointing model has no term {name!r}")
    return east, north


def _moved(mount: str, term: _Term, hour: Array, dec: Array, phi: float) -> tuple[Array, Array]:
    if mount == "equatorial":
        d_hour, d_dec = term(hour, dec, phi)
        return -d_hour * np.cos(dec), d_dec
    azimuth, altitude = _horizontal(hour, dec, phi)
    altitude = np.clip(altitude, -1.57, 1.57)
    d_azimuth, d_altitude = term(azimuth, altitude, phi)
    step = 1e-5
    moved_hour, moved_dec = _equatorial(azimuth + step * d_azimuth, altitude + step * d_altitude, phi)
    turned = np.mod(moved_hour - hour + np.pi, 2 * np.pi) - np.pi
    return -turned * np.cos(dec) / step, (moved_dec - dec) / step


def _horizontal(hour: Array, dec: Array, phi: float) -> tuple[Array, Array]:
    """Azimuth (from north through east) and altitude, radians."""
    altitude = np.arcsin(np.sin(dec) * math.sin(phi) + np.cos(dec) * math.cos(phi) * np.cos(hour))
    azimuth = np.arctan2(
        -np.cos(dec) * np.sin(hour), np.sin(dec) * math.cos(phi) - np.cos(dec) * np.cos(hour) * math.sin(phi)
    )
    return azimuth, altitude


def _equatorial(azimuth: Array, altitude: Array, phi: float) -> tuple[Array, Array]:
    """Hour angle and declination, radians."""
    dec = np.arcsin(np.sin(altitude) * math.sin(phi) + np.cos(altitude) * math.cos(phi) * np.cos(azimuth))
    hour = np.arctan2(
        -np.cos(altitude) * np.sin(azimuth),
        np.sin(altitude) * math.cos(phi) - np.cos(altitude) * np.cos(azimuth) * math.sin(phi),
    )
    return hour, dec


def _rms(errors: Array) -> Arcsec:
    return round(float(np.sqrt(np.mean(np.sum(errors**2, axis=1)))), 3) if len(errors) else 0.0
