"""Flat fields."""

from __future__ import annotations

from enum import StrEnum

from pytel.base.errors import PytelError
from pytel.base.units import Adu, Fraction, Seconds
from pytel.module import Event, Interface, State, Struct, rpc


class FlatFieldFailed(PytelError):
    """No flats could be taken; `data["taken"]` tells how many were. The sky was too bright, too dark or cloudy."""


class FlatFieldStatus(StrEnum):
    """What the flat fielder does; `WAITING` for the sky to have the right brightness."""

    IDLE = "idle"
    WAITING = "waiting"
    TESTING = "testing"
    EXPOSING = "exposing"


class FlatFieldResult(Struct, frozen=True, kw_only=True):
    """A series of flats: how many were taken, their ids, and their median counts above bias."""

    taken: int
    images: tuple[str, ...]
    median_counts: Adu
    filter: str | None = None


class FlatFieldState(State, frozen=True, kw_only=True):
    """Progress of the series."""

    status: FlatFieldStatus
    filter: str | None = None
    taken: int = 0
    wanted: int = 0
    exposure_time: Seconds | None = None
    counts: Adu | None = None
    progress: Fraction | None = None
    last: FlatFieldResult | None = None


class FlatsTaken(Event, frozen=True, kw_only=True):
    """A series of flats is complete."""

    result: FlatFieldResult


class FlatField(Interface, state=FlatFieldState, events=(FlatsTaken,)):
    """Takes flats on the twilight sky or a lit screen, with exposure times that follow the light."""

    @rpc(long=True, control=True, exclusive="flats")
    async def take_flats(self, count: int = 10, filter: str | None = None, binning: int = 1) -> FlatFieldResult:  # noqa: A002 - the field's word
        """Take `count` flats in a filter (None: the one that is in the beam).

        Raises `FlatFieldFailed` and what camera, filter wheel and telescope raise.
        """
        raise NotImplementedError

    @rpc(long=True, control=True, exclusive="flats")
    async def take_flat_sets(
        self, filters: tuple[str, ...], count: int = 10, binning: int = 1
    ) -> list[FlatFieldResult]:
        """Take flats in several filters, in the order that suits the light; a filter that fails is left out.

        Raises `FlatFieldFailed` when there is no flat in any of them, and what the devices raise.
        """
        raise NotImplementedError
