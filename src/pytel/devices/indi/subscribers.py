"""Callbacks about devices; one that fails harms nobody else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Subscribers(Generic[T]):
    """Callbacks by device."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._callbacks: dict[str, list[Callable[[T], None]]] = {}

    def add(self, device: str, callback: Callable[[T], None]) -> Callable[[], None]:
        """Have `callback` called; returns what ends that, harmlessly also twice."""
        self._callbacks.setdefault(device, []).append(callback)

        def end() -> None:
            callbacks = self._callbacks.get(device, [])
            if callback in callbacks:
                callbacks.remove(callback)

        return end

    def tell(self, device: str, what: T) -> None:
        """Call those of a device."""
        for callback in tuple(self._callbacks.get(device, ())):
            try:
                callback(what)
            except Exception:  # noqa: BLE001 - it is logged with its traceback
                self._log.exception("what was to hear of %s failed", device)
