"""The gate of every bus: only what JSON can hold may pass."""

from __future__ import annotations

import math
from typing import Any

from pytel.base.errors import InternalError


def copied(value: Any, path: str = "$") -> Any:
    """Copy a value of builtins, so that sender and receiver share nothing.

    Raises `InternalError` with the path to what is no builtin, a NaN, an infinity or a key that is no string.
    """
    if value is None or value is True or value is False:
        return value
    kind = type(value)
    if kind is str or kind is int:
        return value
    if kind is float:
        if not math.isfinite(value):
            raise InternalError(f"{path} is {value}: unknown numbers travel as None")
        return value
    if kind is dict:
        for key in value:
            if type(key) is not str:
                raise InternalError(f"{path} has the key {key!r}, which is no string")
        return {key: copied(item, f"{path}.{key}") for key, item in value.items()}
    if kind is list or kind is tuple:
        return [copied(item, f"{path}[{index}]") for index, item in enumerate(value)]
    raise InternalError(f"{path} is a {kind.__name__}, which a bus does not carry")
