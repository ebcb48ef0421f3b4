"""A picture of a pointing run: how the mount missed over the sky, before and after the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pytel.base.units import Arcsec

if TYPE_CHECKING:
    from pytel.automation.pointing_run import Measurement
    from pytel.sky.pointing_model import PointingFit

_SIZE, _RADIUS, _ARROW = 420, 180, 28.0


def draw_residuals(measured: Sequence[Measurement], fit: PointingFit) -> str:
    """Two maps of the sky (hour angle and declination about the pole) with errors as lines, as SVG."""
    before, after = [one.error for one in measured], list(fit.residuals)
    maps = _map(measured, before, fit.used, 0, f"without a model: {fit.rms_before:.1f} arcsec rms")
    maps += _map(measured, after, fit.used, _SIZE, f"with {len(fit.model.terms)} terms: {fit.rms_after:.1f} arcsec rms")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * _SIZE} {_SIZE + 20}" '
        f'font-family="sans-serif" font-size="13">'
        f'<rect width="100%" height="100%" fill="white"/>{maps}</svg>\n'
    )


def _map(
    measured: Sequence[Measurement],
    errors: Sequence[tuple[Arcsec, Arcsec]],
    used: Sequence[bool],
    left: int,
    title: str,
) -> str:
    middle_x, middle_y = left + _SIZE / 2, _SIZE / 2 + 20
    scale = _ARROW / max(1e-9, _percentile([math.hypot(*error) for error in errors]))
    parts = [
        f'<text x="{middle_x}" y="18" text-anchor="middle">{title} (line: {_ARROW / scale:.1f} arcsec)</text>',
        *(
            f'<circle cx="{middle_x}" cy="{middle_y}" r="{_RADIUS * ring / 3:.0f}" fill="none" stroke="#ccc"/>'
            for ring in (1, 2, 3)
        ),
        f'<line x1="{left + _SIZE - 40}" y1="{_SIZE}" x2="{left + _SIZE - 40 + _ARROW}" y2="{_SIZE}" stroke="#06c"/>',
    ]
    pole = 90.0 if sum(one.dec for one in measured) >= 0 else -90.0
    for one, (east, north), kept in zip(measured, errors, used, strict=True):
        angle = math.radians(one.hour_angle)
        distance = _RADIUS * abs(pole - one.dec) / 135.0
        x, y = middle_x + distance * math.sin(angle), middle_y + distance * math.cos(angle)
        length = min(3.0, scale * math.hypot(east, north) / _ARROW) * _ARROW
        turn = math.atan2(east, north)
        colour = "#06c" if kept else "#c00"
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>'
            f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x - length * math.sin(turn):.1f}" '
            f'y2="{y - length * math.cos(turn):.1f}" stroke="{colour}"/>'
        )
    return "".join(parts)


def _percentile(sizes: Sequence[float]) -> float:
    """The size that most are below."""
    return sorted(sizes)[int(0.9 * (len(sizes) - 1))] if sizes else 1.0
