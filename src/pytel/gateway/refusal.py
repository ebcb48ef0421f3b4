"""What HTTP itself refuses, before any module is asked."""

from __future__ import annotations

from collections.abc import Mapping


class Refusal(Exception):
    """An answer with a status of HTTP and a sentence; never a traceback."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


def closing(status: int, message: str) -> Refusal:
    """A refusal after which the connection is closed: the rest of what is being sent is not waited for."""
    return Refusal(status, message, {"Connection": "close"})
