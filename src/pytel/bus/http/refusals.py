"""The body of every answer that tells an error with a status of HTTP: one form, whoever refuses.

{"error": {"status": 404, "code": -32019, "message": "there is …", "data": {"name": "NotFound"}}}
"""

from __future__ import annotations

import msgspec

from pytel.base.errors import (
    Busy,
    ChecksumError,
    Conflict,
    InternalError,
    InvalidParams,
    InvalidRequest,
    LimitExceeded,
    NotAllowed,
    NotFound,
    NotReady,
    PytelError,
    StorageFull,
    Timeout,
    WireError,
)

_BY_STATUS: dict[int, type[PytelError]] = {
    400: InvalidParams,
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    408: Timeout,
    409: Conflict,
    413: LimitExceeded,
    416: LimitExceeded,
    421: NotAllowed,
    422: ChecksumError,
    429: Busy,
    503: NotReady,
    507: StorageFull,
}


def refusal_body(status: int, error: WireError | str) -> bytes:
    """Tell an error; of a sentence alone, its name and code follow from the status."""
    if isinstance(error, str):
        kind = _BY_STATUS.get(status, InvalidRequest if status < 500 else InternalError)
        error = kind(error).to_wire()
    return msgspec.json.encode({"error": {"status": status, **error}}) + b"\n"
