"""How results come about: the masters that fit are chosen, a worker computes, the store keeps, the ledger remembers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Protocol

from pytel.archive.reduction.choice import (
    DetectorSetup,
    Master,
    choose,
    combinable,
    setup_of,
    time_of,
)
from pytel.archive.reduction.combining import make_master
from pytel.archive.reduction.files import Files
from pytel.archive.reduction.frame import reduce_frame
from pytel.archive.reduction.jobs import FrameJob, MasterJob, Product, ReductionSettings, Source
from pytel.archive.reduction.ledger import Ledger, Result
from pytel.archive.reduction.workers import Workers
from pytel.base import clock
from pytel.base.errors import NotFound
from pytel.base.threads import in_thread
from pytel.base.units import Celsius, Seconds
from pytel.imaging.headers import CardValue
from pytel.interfaces.imagearchive import ArchivedImage
from pytel.interfaces.images import FrameType
from pytel.interfaces.reduction import CalibrationMissing, MasterFrame, ReducedImage

_USED_BY: Mapping[FrameType, tuple[FrameType, ...]] = {
    FrameType.BIAS: (),
    FrameType.DARK: (FrameType.BIAS,),
    FrameType.FLAT: (FrameType.BIAS, FrameType.DARK),
}
_FULL = 0.95
_ALL = (FrameType.BIAS, FrameType.DARK, FrameType.FLAT)


class MasterRules(Protocol):
    """What the makers need of the configuration."""

    @property
    def needs(self) -> tuple[FrameType, ...]:
        """Masters that must be there."""

    @property
    def fewest(self) -> int:
        """Frames that make a master."""

    @property
    def max_age(self) -> Seconds:
        """How far in time a master may be."""

    @property
    def temperature_tolerance(self) -> Celsius:
        """How far in temperature a dark may be."""


class MasterMaker:
    """Finds and makes masters."""

    def __init__(self, rules: MasterRules, ledger: Ledger, files: Files, workers: Workers) -> None:
        self._rules = rules
        self._ledger = ledger
        self._files = files
        self._workers = workers

    def fitting(self, header: Mapping[str, CardValue], frame_type: FrameType) -> dict[FrameType, Master]:
        """The masters for a frame of a type. Raises `CalibrationMissing` when one that is needed is not there."""
        setup, when = setup_of(header, frame_type), time_of(header)
        found: dict[FrameType, Master] = {}
        for kind in _USED_BY.get(frame_type, _ALL):
            try:
                found[kind] = choose(
                    setup,
                    kind,
                    when,
                    self._ledger.masters.values(),
                    tolerance=self._rules.temperature_tolerance,
                    max_age=self._rules.max_age,
                )
            except CalibrationMissing:
                if kind in self._rules.needs:
                    raise
        return found

    async def sources(self, masters: Mapping[FrameType, Master]) -> dict[FrameType, Source]:
        """Where workers find them."""
        return {kind: await self._files.stored_source(master.frame.image) for kind, master in masters.items()}

    async def make(self, raws: Sequence[ArchivedImage], frame_type: FrameType) -> list[Master]:
        """Make a master of each setup of which there are frames enough; one made of the same before is taken.

        A setup whose own masters are missing is left out, until there are some.
        """
        groups: list[tuple[DetectorSetup, list[tuple[Source, Mapping[str, CardValue]]]]] = []
        for raw in raws:
            source = await self._files.source(raw)
            header = await in_thread(_header, source)
            if frame_type is FrameType.FLAT and await in_thread(_is_saturated, source, header):
                continue
            setup = setup_of(header, frame_type)
            for known, members in groups:
                if combinable(known, setup, self._rules.temperature_tolerance):
                    members.append((source, header))
                    break
            else:
                groups.append((setup, [(source, header)]))
        made = [
            await self._make_one(setup, frame_type, members)
            for setup, members in groups
            if len(members) >= self._rules.fewest
        ]
        return [master for master in made if master is not None]

    async def _make_one(
        self, setup: DetectorSetup, frame_type: FrameType, members: list[tuple[Source, Mapping[str, CardValue]]]
    ) -> Master | None:
        sources, middle = [source for source, _ in members], members[len(members) // 2][1]
        try:
            fitting = self.fitting(middle, frame_type)
        except CalibrationMissing:
            return None
        uses = [master.frame.image.id for master in fitting.values()]
        ids = [source.id for source in sources]
        name = f"master-{frame_type.value}-{_digest([*ids, *uses])}"
        for known in self._ledger.masters.values():
            if known.frame.frame_type is frame_type and known.raws == [*ids, *uses]:
                return known

        async def make() -> Product:
            job = MasterJob(
                frame_type=frame_type,
                raws=sources,
                masters=await self.sources(fitting),
                created=clock.now(),
                output=self._files.output(name),
            )
            return await self._workers.run(make_master, job)

        ref = await self._files.produce(name, make)
        frame = MasterFrame(
            image=ref,
            frame_type=frame_type,
            camera=setup.camera,
            combined=len(sources),
            time=time_of(middle),
            binning=setup.binning[0],
            filter=setup.filter,
        )
        master = Master(frame=frame, setup=setup, raws=[*ids, *uses])
        await in_thread(self._ledger.note, master)
        await self._files.forget(name)
        return master

    def too_few(self, night: date, frame_type: FrameType) -> NotFound:
        """The error of a night without enough frames."""
        return NotFound(
            f"the night of {night} has no {self._rules.fewest} {frame_type.value} frames of one kind, or not the "
            f"masters that they need themselves: take some"
        )


class FrameMaker:
    """Reduces frames."""

    def __init__(
        self,
        rules: MasterRules,
        ledger: Ledger,
        files: Files,
        workers: Workers,
        masters: MasterMaker,
        *,
        settings: ReductionSettings,
        invented: bool,
    ) -> None:
        self._settings, self._invented = settings, invented
        self._rules = rules
        self._ledger = ledger
        self._files = files
        self._workers = workers
        self._masters = masters

    async def reduce(self, image: ArchivedImage) -> ReducedImage:
        """Reduce a frame with the masters that fit it now; if it was with the same before, that is the result.

        Raises `CalibrationMissing`, and what `reduce_frame` and the store raise.
        """
        source = await self._files.source(image)
        header = await in_thread(_header, source)
        fitting = self._masters.fitting(header, image.frame_type)
        uses = {kind.value: master.frame.image.id for kind, master in fitting.items()}
        known = self._ledger.results.get(image.id)
        if known is not None and known.reduced.masters == uses:
            return known.reduced
        name = f"reduced-{image.id}-{_digest(uses.values())}"

        async def make() -> Product:
            job = FrameJob(
                raw=source,
                masters=await self._masters.sources(fitting),
                settings=self._settings,
                invented=self._invented,
                created=clock.now(),
                output=self._files.output(name),
            )
            return await self._workers.run(reduce_frame, job)

        reduced = ReducedImage(image=await self._files.produce(name, make), raw=image.id, masters=uses)
        await in_thread(self._ledger.note, Result(night=image.night, reduced=reduced))
        await self._files.forget(name)
        return reduced


def _header(source: Source) -> dict[str, CardValue]:
    from pytel.imaging.fits import read_header

    return read_header(Path(source.path or ""))


def _is_saturated(source: Source, header: Mapping[str, CardValue]) -> bool:
    """Whether a flat shows the detector's limit instead of the light; twilight flats are first too bright."""
    from pytel.imaging.masters import middle_counts

    limit = header.get("SATURATE")
    return isinstance(limit, int | float) and middle_counts(Path(source.path or "")) > _FULL * limit


def _digest(names: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
