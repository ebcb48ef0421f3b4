"""A focus curve as a picture: points with errors, what was rejected, the hyperbola, its minimum, the expectation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from pytel.imaging.focus import FocusFit

_WIDTH, _HEIGHT = 640, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 40, 50
_COLOURS = {"point": "#1f6fb4", "rejected": "#c0392b", "curve": "#333333", "best": "#2e8b57", "expected": "#e08e0b"}
_STEPS = 160


@dataclass(frozen=True)
class PlotPoint:
    """A point of the curve: position (focuser units), size of the stars and its error (pixels)."""

    position: float
    size: float
    error: float = 0.0
    rejected: bool = False


def focus_svg(
    title: str, points: Sequence[PlotPoint], fit: FocusFit | None = None, expected: float | None = None
) -> str:
    """Draw a focus run as SVG (1.1, W3C 2011). `expected` is the position that the model foretold."""
    frame = _Frame(points, fit, expected)
    parts = [*frame.axes(), *(frame.point(point) for point in points)]
    if fit is not None:
        xs = np.linspace(frame.low, frame.high, _STEPS)
        path = " ".join(f"{frame.x(x):.1f},{frame.y(fit.hfd_at(x)):.1f}" for x in map(float, xs))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{_COLOURS["curve"]}"/>')
        parts.append(frame.mark(fit.position, _COLOURS["best"], f"{fit.position:.4f} ± {fit.uncertainty:.4f}", 1))
    if expected is not None:
        parts.append(frame.mark(expected, _COLOURS["expected"], f"expected {expected:.4f}", 2, dashed=True))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>\n'
        f'<text x="{_LEFT}" y="20" font-size="14">{escape(title)}</text>\n' + "\n".join(parts) + "\n</svg>\n"
    )


class _Frame:
    """Where positions and sizes fall on the picture."""

    def __init__(self, points: Sequence[PlotPoint], fit: FocusFit | None, expected: float | None) -> None:
        places = [point.position for point in points]
        places += [] if expected is None else [expected]
        places += [] if fit is None else [fit.position]
        self.low, self.high = _room(places or [0.0])
        self.most = 1.1 * max([point.size + point.error for point in points] + [fit.hfd if fit else 1.0, 1.0])

    def x(self, position: float) -> float:
        return _LEFT + (position - self.low) / (self.high - self.low) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, size: float) -> float:
        return _HEIGHT - _BOTTOM - min(1.0, size / self.most) * (_HEIGHT - _TOP - _BOTTOM)

    def axes(self) -> list[str]:
        bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
        parts = [f'<path d="M{_LEFT},{_TOP} V{bottom} H{right}" fill="none" stroke="black"/>']
        for part in np.linspace(0.0, 1.0, 5):
            position, size = self.low + part * (self.high - self.low), part * self.most
            parts.append(
                f'<text x="{self.x(position):.1f}" y="{bottom + 18}" text-anchor="middle">{position:.3f}</text>'
            )
            parts.append(f'<text x="{_LEFT - 6}" y="{self.y(size) + 4:.1f}" text-anchor="end">{size:.1f}</text>')
        parts.append(f'<text x="{right}" y="{_HEIGHT - 12}" text-anchor="end">focus / mm</text>')
        parts.append(f'<text x="10" y="{_TOP - 8}">star size / px</text>')
        return parts

    def point(self, point: PlotPoint) -> str:
        x, y = self.x(point.position), self.y(point.size)
        if point.rejected:
            cross = f"M{x - 4:.1f},{y - 4:.1f} l8,8 m0,-8 l-8,8"
            return f'<path class="rejected" d="{cross}" stroke="{_COLOURS["rejected"]}"/>'
        top, low = self.y(point.size + point.error), self.y(max(0.0, point.size - point.error))
        return (
            f'<path d="M{x:.1f},{top:.1f} V{low:.1f}" stroke="{_COLOURS["point"]}"/>'
            f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{_COLOURS["point"]}"/>'
        )

    def mark(self, position: float, colour: str, text: str, row: int, *, dashed: bool = False) -> str:
        x, dashes = self.x(position), ' stroke-dasharray="5,4"' if dashed else ""
        return (
            f'<path d="M{x:.1f},{_TOP} V{_HEIGHT - _BOTTOM}" stroke="{colour}"{dashes}/>'
            f'<text x="{_WIDTH - _RIGHT}" y="{_TOP + 16 * row}" text-anchor="end" fill="{colour}">{escape(text)}</text>'
        )


def _room(places: Sequence[float]) -> tuple[float, float]:
    low, high = min(places), max(places)
    margin = 0.05 * (high - low) or 0.5
    return low - margin, high + margin
