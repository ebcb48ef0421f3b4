"""Guiding: keeping the target where its first frame had it.

Whoever starts one of these modules has a guider, whoever stops it has none; nothing else is touched. What was moved on
purpose, as the telescope's state tells, is never undone: an offset shifts the place where the field is expected, a
slew begins anew with the next frame.
"""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from pytel.automation.guiding_correction import correct_by_port, correct_by_telescope
from pytel.automation.guiding_predictors import Experience
from pytel.automation.guiding_report import guiding_cards, statistics_of
from pytel.automation.guiding_session import GuidingSession, Outcome, coasts
from pytel.automation.guiding_sky import Orientation, Shift, oriented
from pytel.automation.guiding_telescope import Pointing, TelescopeLog
from pytel.base import clock
from pytel.base.errors import Busy, Cancelled, NotReady, PytelError
from pytel.base.threads import in_thread
from pytel.base.units import Arcsec, ArcsecPerPixel, Degrees, Duration, Fraction
from pytel.interfaces.autoguider import (
    AutoGuider,
    AutoGuiderState,
    AutoGuiderStatus,
    GuideCorrected,
    GuideOffset,
)
from pytel.interfaces.camera import Camera
from pytel.interfaces.fitsheaders import Card, ExposureMoment, FitsHeaderProvider
from pytel.interfaces.images import FrameType, ImageRef, NewImage
from pytel.interfaces.telescope import Telescope, TelescopeState
from pytel.module.config import ModuleConfig
from pytel.module.handlers import background, on
from pytel.services import Module
from pytel.services.images import Image
from pytel.services.stars import site_stars
from pytel.services.timing import patient

if TYPE_CHECKING:
    from pytel.automation.guiding_field import Frame

_LATE = 1.0
"""Seconds by which the telescope's state may come after what it tells of."""
_NEVER = 3600.0


class GuiderConfig(ModuleConfig, frozen=True, kw_only=True):
    """How to guide.

    - `gain`: the most of a measured offset that is taken for a motion of the telescope, the rest for noise.
    - `max_offset`: beyond it the field counts as lost.
    - `deadband`: smaller corrections are not worth a move.
    - `feed_forward`: seconds between corrections for the learned drift while a frame is exposed; 0: none.
    - `coast`: how long the learned drift is followed without a frame that shows the field.
    - `correct_by`: the telescope's own corrections, or the pulses of a guide port.
    - `solve`: look by the stars of a reference how it lies on the sky, rather than to trust the camera's header.
    - `catalogue`: a file of stars (`pytel catalogue pack`) to be used instead of the bundled ones.
    - `pixel_scale`, `position_angle`, `flipped`: how a frame lies on the sky where nothing else tells it.
    """

    active: bool = True
    gain: Fraction = 0.7
    max_offset: Arcsec = 30.0
    deadband: Arcsec = 0.05
    feed_forward: Duration = 15.0
    coast: Duration = 300.0
    correct_by: Literal["telescope", "guideport"] = "telescope"
    solve: bool = True
    catalogue: str | None = None
    pixel_scale: ArcsecPerPixel | None = None
    position_angle: Degrees = 0.0
    flipped: bool = False

    def __post_init__(self) -> None:
        if not 0.05 <= self.gain <= 1.0:
            raise ValueError(f"gain must be from 0.05 to 1, not {self.gain:g}")
        if not 0.0 < self.max_offset <= 60.0:
            raise ValueError(f"max_offset must be at most 60 arcsec and above 0, not {self.max_offset:g}")


class BaseGuider(Module, AutoGuider, FitsHeaderProvider):
    """What all guiders share; each gives frames to `consider`."""

    config: GuiderConfig

    async def on_start(self) -> None:
        """Begin without a reference."""
        self._telescope = TelescopeLog()
        self._session: GuidingSession | None = None
        self._experience: dict[int, Experience] = {}
        self._frequency: float | None = None
        self._active = self.config.active
        self._stars = await in_thread(site_stars, self.site, self.config.catalogue) if self.config.solve else None
        self._turn = asyncio.Lock()
        self._told: AutoGuiderState | None = None
        self._show()

    # calls

    async def start_guiding(self) -> None:
        """Guide from now on."""
        self._active, self._session = True, None
        self._show()

    async def stop_guiding(self) -> None:
        """Correct no more."""
        self._active, self._session = False, None
        self._show()

    async def new_reference(self) -> None:
        """Begin anew with the next image."""
        self._session = None
        self._show()

    async def fits_headers(self, moment: ExposureMoment) -> dict[str, Card]:
        """Tell how it guides; at the end of an exposure, when its own corrections are counted."""
        return guiding_cards(self._status(), self._session) if moment is ExposureMoment.END else {}

    # what the telescope does

    @on(TelescopeState, policy="all")
    async def telescope_spoke(self, state: TelescopeState) -> None:
        """Keep account of where it was held, and when."""
        if self.sender() == self.address_of(self.find(Telescope)):
            self._telescope.heard(clock.time(), state)
            self._show()

    def _is_at(self, session: GuidingSession) -> bool:
        present = self._telescope.present
        return present is not None and present.slew == session.slew

    # frames

    @property
    def is_wanted(self) -> bool:
        """Whether it is to guide and the telescope is held on a target."""
        return self._active and self._telescope.present is not None

    async def consider(self, ref: ImageRef, image: Image, start: float, end: float) -> None:
        """Measure a frame whose shutter was open between these times (Unix seconds), and correct the telescope."""
        from pytel.automation.guiding_field import Frame

        held = self._telescope.during(start, end, patient(_LATE))
        if not self._active or held is None:
            self.log.debug("%s does not count: the telescope was not held still", ref.id)
            return
        frame = Frame(ref.id, image.pixels, image.header, start, end, held.offset)
        async with self._turn:
            session = self._session_at(held, frame)
            if not self._is_at(session):
                return
            try:
                outcome = await in_thread(session.look, frame)
            except PytelError as error:
                self.raise_alarm("reference", error)
                self._session = None
                return
            self.clear_alarm("reference")
            if session is not self._session:
                return
            self._tell(outcome, ref.id, session)
            if outcome is Outcome.MEASURED:
                await self._correct(session, self._aim(end - start))
        self._show()

    def _session_at(self, held: Pointing, frame: Frame) -> GuidingSession:
        if self._session is None or self._session.slew != held.slew:
            kind = round(math.log2(max(0.1, frame.end - frame.start)))
            if self._session is not None:
                self._remember(self._session)
            self._session = GuidingSession(
                held.slew,
                (frame.start + frame.end) / 2,
                gain=self.config.gain,
                max_offset=self.config.max_offset,
                fallback=self._configured(),
                stars=self._stars,
                kind=kind,
                experience=self._experience.get(kind, Experience())._replace(frequency=self._frequency),
            )
        return self._session

    def _remember(self, session: GuidingSession) -> None:
        """Keep what the next targets may profit from; the worm is that of the mount, whatever the exposures."""
        self._experience[session.kind] = experience = session.law.experience
        self._frequency = experience.frequency

    def _configured(self) -> Orientation | None:
        config = self.config
        if config.pixel_scale is None:
            return None
        return oriented(config.pixel_scale, config.position_angle, config.flipped)

    def _tell(self, outcome: Outcome, image: str, session: GuidingSession) -> None:
        if outcome is Outcome.NOT_FOUND and session.has_just_lost:
            self.log.warning("the field is lost: %s", session.reason)
        elif outcome is Outcome.REFERENCE:
            self.log.info("%s is the reference", image)
        elif outcome is Outcome.DOUBTED:
            self.log.info("the offset of %s is not followed unless the next frame confirms it", image)

    # corrections

    def _aim(self, exposure_time: float) -> float:
        """The time for which to correct: the middle of what follows until the next correction."""
        return clock.time() + (self.config.feed_forward or exposure_time) / 2

    @background
    async def follow_drift(self) -> None:
        """Correct for the drift that was learned, between frames and during long ones."""
        while True:
            await clock.sleep(self.config.feed_forward or _NEVER)
            if self.config.feed_forward:
                async with self._turn:
                    await self._feed_forward()

    async def _feed_forward(self) -> None:
        session = self._session
        if session is None or not session.foresees or session.last is None:
            return
        if coasts(session.last[0], clock.time(), self.config.coast):
            await self._correct(session, self._aim(0.0))

    async def _correct(self, session: GuidingSession, when: float) -> None:
        correction = self._limited(session.correction(when))
        if correction.length < self.config.deadband or not self._is_at(session):
            return
        begins = clock.time()
        try:
            await self._move(correction)
        except (Busy, NotReady, Cancelled) as error:
            self.log.debug("no correction: %s", error)
            return
        except PytelError as error:
            self.raise_alarm("correction", error)
            return
        self.clear_alarm("correction")
        session.corrected(begins, correction)
        if session.last is not None:
            when, measured = session.last
            self.publish(
                GuideCorrected(
                    measured=_offset(when, measured.offset), applied_ra=correction.ra, applied_dec=correction.dec
                )
            )

    def _limited(self, correction: Shift) -> Shift:
        return correction.times(min(1.0, self.config.max_offset / max(correction.length, 1e-9)))

    async def _move(self, correction: Shift) -> None:
        if self.config.correct_by == "guideport":
            await correct_by_port(self, correction)
        else:
            await correct_by_telescope(self, correction)

    # state

    def _status(self) -> AutoGuiderStatus:
        session = self._session
        if not self._active:
            return AutoGuiderStatus.OFF
        if session is None or not self._is_at(session):
            return AutoGuiderStatus.WAITING
        return AutoGuiderStatus.LOST if session.is_lost else AutoGuiderStatus.GUIDING

    def _show(self) -> None:
        session = self._session
        state = AutoGuiderState(status=self._status())
        if session is not None and self._is_at(session):
            state = AutoGuiderState(
                status=state.status,
                offset=None if session.last is None else _offset(session.last[0], session.last[1].offset),
                statistics=statistics_of(session),
                reference=session.reference,
                message=session.reason,
            )
        if state != self._told:
            self._told = state
            self.publish(state)


def _offset(when: float, offset: Shift) -> GuideOffset:
    return GuideOffset(time=datetime.fromtimestamp(when, UTC), ra=offset.ra, dec=offset.dec)


class ScienceFrameGuider(BaseGuider):
    """Guides on the images of the science camera: the first of a target is the reference of those that follow."""

    class Config(GuiderConfig, frozen=True, kw_only=True):
        """How to guide; frames of other kinds than `frame_types` are not looked at."""

        frame_types: tuple[FrameType, ...] = (FrameType.OBJECT,)

    config: Config

    @on(NewImage)
    async def correct(self, event: NewImage) -> None:
        """Measure a frame of the camera, and correct the telescope."""
        if event.frame_type not in self.config.frame_types or event.camera != self._camera():
            return
        start = event.start.timestamp()
        await self.consider(event.image, await self.images.get(event.image), start, start + event.exposure_time)

    def _camera(self) -> str:
        return str(self.address_of(self.find(Camera)))
