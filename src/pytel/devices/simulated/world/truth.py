"""The record of where the telescope really pointed: for tests, never for modules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from pytel.devices.simulated.world.state import Exposure, Sample


class Truth:
    """Appends a line to `truth.jsonl` for every light frame."""

    def __init__(self, directory: Path | None) -> None:
        self._path = directory / "truth.jsonl" if directory else None

    def note(self, exposure: Exposure, **circumstances: Any) -> None:
        """Record a finished exposure. The place is that of the full detector's centre, weighted by the light."""
        if self._path is None:
            return
        ra, dec, fwhm = _mean(exposure.samples)
        line = {
            "exposure_number": exposure.number,
            "start": exposure.site_start,
            "end": exposure.site_end,
            "exposure_time": exposure.exposure_time,
            "shutter": exposure.shutter,
            "ra": ra,
            "dec": dec,
            "fwhm": fwhm,
            **circumstances,
        }
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(line) + b"\n")


def _mean(samples: list[Sample]) -> tuple[float, float, float]:
    weights = [sample.stars for sample in samples]
    if sum(weights) <= 0:
        weights = [sample.end - sample.start for sample in samples]
    total = sum(weights)
    if total <= 0:
        return samples[0].ra, samples[0].dec, samples[0].fwhm
    first = samples[0].ra
    turned = sum(w * ((s.ra - first + 180) % 360 - 180) for w, s in zip(weights, samples, strict=True)) / total
    dec = sum(w * s.dec for w, s in zip(weights, samples, strict=True)) / total
    fwhm = sum(w * s.fwhm for w, s in zip(weights, samples, strict=True)) / total
    return (first + turned) % 360, dec, fwhm
