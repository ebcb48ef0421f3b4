"""The pointing model that a telescope applies, kept over its restarts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pytel.base.files import write_atomically
from pytel.base.location import Location
from pytel.base.threads import in_thread
from pytel.base.units import Arcsec, Declination, RightAscension

if TYPE_CHECKING:
    from pytel.sky.pointing_model import PointingModel

Place = tuple[RightAscension, Declination]


class _Kept(msgspec.Struct, frozen=True):
    mount: str
    terms: dict[str, Arcsec]


class AppliedPointing:
    """Turns places on the sky into those for the mount, and back; without a model they are the same."""

    def __init__(self, path: Path, location: Location) -> None:
        self._path, self._location = path, location
        self._model: PointingModel | None = None

    @property
    def terms(self) -> dict[str, Arcsec]:
        """The terms in use, none without a model."""
        return {} if self._model is None else dict(self._model.terms)

    async def load(self) -> None:
        """Take up the model from before a restart. Raises `ConfigError` for a file that is broken."""
        self._model = await in_thread(self._read)

    async def use(self, mount: str, terms: dict[str, Arcsec]) -> None:
        """Use a model from now on, none without terms. Raises `InvalidParams` for an unknown term."""
        model = self._checked(mount, terms) if terms else None
        await in_thread(write_atomically, self._path, [msgspec.json.encode(_Kept(mount, terms))])
        self._model = model

    def aim(self, ra: RightAscension, dec: Declination, when: float) -> Place:
        """Where to send the mount for a place of the sky (ICRS)."""
        if self._model is None:
            return ra, dec
        return self._model.aim(ra, dec, self._hour_angle(ra, dec, when))

    def sky(self, ra: RightAscension, dec: Declination, when: float) -> Place:
        """Where a mount points on the sky that says it points there (ICRS)."""
        if self._model is None:
            return ra, dec
        return self._model.true_place(ra, dec, self._hour_angle(ra, dec, when))

    def _hour_angle(self, ra: RightAscension, dec: Declination, when: float) -> float:
        from pytel.sky.coordinates import hour_angle

        return hour_angle(ra, dec, when, self._location)

    def _read(self) -> PointingModel | None:
        from pytel.base.errors import ConfigError

        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise ConfigError(
                f"the pointing model {self._path} cannot be read: {error}; remove it and measure again"
            ) from error
        return self._checked(kept.mount, kept.terms) if kept.terms else None

    def _checked(self, mount: str, terms: dict[str, Arcsec]) -> PointingModel:
        from pytel.sky.pointing_model import PointingModel

        model = PointingModel(mount, self._location.latitude, terms)
        model.error(0.0, 0.0)
        return model
