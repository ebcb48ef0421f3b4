"""Who has something to say in the header of an image."""

from __future__ import annotations

from enum import StrEnum

from pytel.module import Interface, Role, Struct, rpc


class ExposureMoment(StrEnum):
    """When during an exposure the cards are asked for."""

    START = "start"
    END = "end"


class Card(Struct, frozen=True, kw_only=True):
    """A FITS header card: value and comment (with its unit in brackets first, as the standard recommends)."""

    value: str | int | float | bool | None
    comment: str = ""


class FitsHeaderProvider(Interface):
    """Gives header cards for images that others take; found by discovery."""

    several = True

    @rpc(role=Role.VIEWER)
    async def fits_headers(self, moment: ExposureMoment) -> dict[str, Card]:
        """Tell the cards for an exposure that starts or ends now, by keyword of up to eight characters."""
        raise NotImplementedError
