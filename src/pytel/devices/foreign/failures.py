"""The errors of a foreign system as ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytel.base.errors import (
    Busy,
    Conflict,
    DeviceError,
    DeviceTimeout,
    InvalidParams,
    LimitExceeded,
    NotAllowed,
    NotFound,
    NotReady,
    PytelError,
    Unsafe,
)
from pytel.services.mapping.source import shown

RAISABLE: dict[str, type[PytelError]] = {
    kind.__name__: kind
    for kind in (
        Busy,
        Conflict,
        DeviceError,
        DeviceTimeout,
        InvalidParams,
        LimitExceeded,
        NotAllowed,
        NotFound,
        NotReady,
        Unsafe,
    )
}
"""What an error of theirs may be for us."""
_LONGEST = 300


def raised_for(failure: Any, names: Mapping[str, str], device: str, method: str) -> PytelError:
    """The error to raise for the `error` of an answer, however it is made."""
    code = failure.get("code") if isinstance(failure, dict) else None
    said = failure.get("message") if isinstance(failure, dict) else failure
    text = one_line(said) if isinstance(said, str) and said.strip() else shown(said)
    code = code if isinstance(code, int) and not isinstance(code, bool) and abs(code) < 2**53 else None
    kind = RAISABLE.get(names.get(str(code), ""), DeviceError)
    number = f" ({code})" if code is not None else ""
    data: dict[str, Any] = {"reasons": [text]} if kind is Unsafe else {}
    if kind is Busy:
        data = {"by": "the foreign system", "method": method, "until": None}
    if code is not None:
        data["foreign_code"] = code
    return kind(f"{device}: the foreign system refuses {method}: {text}{number}", device=device, **data)


def one_line(text: str) -> str:
    """What a stranger says, fit for a log."""
    printable = "".join(character if character.isprintable() else " " for character in text[:_LONGEST])
    return " ".join(printable.split())
