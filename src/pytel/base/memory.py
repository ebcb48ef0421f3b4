"""Memory of processes that run for months."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


def give_back_memory() -> None:
    """Return freed memory to the system; the C library keeps what large images used, in case there are more."""
    _trimmer()()


@functools.cache
def _trimmer() -> Callable[[], object]:
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):  # a C library without it gives memory back by itself
        return lambda: None
    return lambda: trim(0)
