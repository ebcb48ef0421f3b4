"""The gate of every bus: only what JSON can hold may pass."""

from __future__ import annotations

from math import isfinite
from typing import Any

from pytel.base.errors import InternalError

_ATOMS = frozenset({type(None), bool, int, str})


def copied(value: Any, path: str = "$") -> Any:
    """Copy a value of builtins, so that sender and receiver share nothing.

    Raises `InternalError` with the path to what is no builtin, a NaN, an infinity or a key that is no string.
    """
    kind = type(value)
    if kind in _ATOMS or (kind is float and isfinite(value)):
        return value
    if kind is dict:
        return _copied_dict(value, path)
    if kind is list or kind is tuple:
        return [copied(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if kind is float:
        raise InternalError(f"{path} is {value}: unknown numbers travel as None")
    raise InternalError(f"{path} is a {kind.__name__}, which a bus does not carry")


def _copied_dict(value: dict[Any, Any], path: str) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, item in value.items():
        if type(key) is not str:
            raise InternalError(f"{path} has the key {key!r}, which is no string")
        # Most are plain values: no call and no path for them.
        made[key] = item if type(item) in _ATOMS else copied(item, f"{path}.{key}")
    return made
