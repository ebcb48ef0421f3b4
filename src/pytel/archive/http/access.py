"""Who asks: credentials of a request, held against whatever knows them, in constant time."""

from __future__ import annotations

import base64
import hmac
import secrets
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pytel.bus.contract import Role

if TYPE_CHECKING:
    from starlette.requests import Request

_LONGEST = 4096


class Identity(NamedTuple):
    """Who asks, by name, and what they may do."""

    name: str
    role: Role


class Authenticator(Protocol):
    """Something that knows people or modules."""

    async def authenticate(self, request: Request) -> Identity | None:
        """Tell who sent a request; None for credentials that are missing, of another kind or wrong."""


class TokenAuthenticator:
    """Knows one random token, made at the start of the store and handed to modules over the bus.

    It is taken as a bearer token and, for programs that only know Basic, as the password of any user.
    """

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)

    async def authenticate(self, request: Request) -> Identity | None:
        """Modules have the token."""
        fields = request.headers.getlist("authorization")
        given = (bearer_of(fields[0]) or password_of(fields[0])) if len(fields) == 1 else None
        right = hmac.compare_digest((given or "").encode("utf-8", "surrogateescape"), self.token.encode())
        return Identity("token", Role.MODULE) if right else None


def bearer_of(field: str) -> str | None:
    """The token of `Authorization: Bearer …` (RFC 6750)."""
    scheme, _, token = field[:_LONGEST].partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def basic_of(field: str) -> tuple[str, str] | None:
    """User and password of `Authorization: Basic …` in UTF-8 (RFC 7617)."""
    scheme, _, text = field[:_LONGEST].partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, separator, password = base64.b64decode(text.strip(), validate=True).decode("utf-8").partition(":")
    except ValueError:
        return None
    return (user, password) if separator else None


def password_of(field: str) -> str | None:
    """The password alone."""
    pair = basic_of(field)
    return None if pair is None else pair[1]
