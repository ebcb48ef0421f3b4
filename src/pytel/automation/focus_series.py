"""The frames of a focus run: what was measured where, for results, errors and plots."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytel.base.units import Celsius, Millimetres
from pytel.interfaces.autofocus import FocusPoint

if TYPE_CHECKING:
    from pytel.imaging.focus import FocusFit
    from pytel.imaging.focus_frame import FocusFrame
    from pytel.imaging.focus_search import FocusSearch

_OFF = 4.0
_LEAST_OFF = 0.1


class FocusSeries:
    """All frames of one run in the order they were taken, with the circumstances at its start."""

    def __init__(
        self,
        before: Millimetres,
        offset: Millimetres,
        temperature: Celsius | None,
        filter_name: str | None,
        filter_offset: Millimetres,
    ) -> None:
        self.before = before
        self.offset = offset
        self.temperature = temperature
        self.filter = filter_name
        self.filter_offset = filter_offset
        self.predicted: Millimetres | None = None
        self.frames: list[tuple[Millimetres, FocusFrame]] = []
        self.search: FocusSearch | None = None
        self.fit: FocusFit | None = None

    def points(self) -> tuple[FocusPoint, ...]:
        """What was measured, by position."""
        from pytel.imaging.focus_frame import hit_by_clouds

        clouded = hit_by_clouds([frame for _, frame in self.frames])
        points = [
            FocusPoint(position=place, hfd=frame.hfd, width=frame.width, rejected=hit or self._is_off(place, frame))
            for (place, frame), hit in zip(self.frames, clouded, strict=True)
        ]
        return tuple(sorted(points, key=lambda point: point.position))

    def picture(self, title: str) -> str:
        """The run as SVG."""
        from pytel.imaging.focus_plot import PlotPoint, focus_svg

        sizes = [(point, self._size(point.hfd, point.width)) for point in self.points()]
        plotted = [
            PlotPoint(point.position, size, rejected=point.rejected) for point, size in sizes if size is not None
        ]
        return focus_svg(title, plotted, self.fit, self.predicted)

    def _is_off(self, position: Millimetres, frame: FocusFrame) -> bool:
        """Whether a frame lies off the curve; far out this is no hyperbola any more, and says nothing."""
        size = self._size(frame.hfd, frame.width)
        if self.fit is None or size is None or size > _OFF * self.fit.hfd:
            return False
        told = self.fit.hfd_at(position)
        return abs(size - told) > _OFF * math.hypot(self.fit.scatter * told, frame.hfd_error) + _LEAST_OFF * told

    def _size(self, hfd: float | None, width: float | None) -> float | None:
        return width if self.search is not None and self.search.method == "projection" else hfd
