"""A simulated observatory with small frames that has acquisition and guiders, at night under an open roof."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np

from pytel.base import clock
from pytel.bus.contract import Publication
from pytel.interfaces import AutoGuiderState, AutoGuiderStatus, Camera, Enclosure, SafetyMonitorState, Telescope
from pytel.interfaces.images import ImageRef
from pytel.sky.sphere import project
from pytel.testing import Observatory
from pytel.testing.observatory import default_site

TARGET = (150.0, -30.0)
OTHER = (165.0, -20.0)


def guided_site(modules: Mapping[str, Mapping[str, Any]], **simulation: Mapping[str, Any]) -> dict[str, Any]:
    """The site of the test kit with more modules, and frames of 512 x 512 pixels."""
    site = default_site()
    site["modules"] |= modules
    camera = {"width": 512, "height": 512, **simulation.pop("camera", {})}
    site["simulation"] = {**site["simulation"], "camera": camera, **simulation}
    return site


@contextlib.asynccontextmanager
async def open_site(site: Mapping[str, Any], *, seed: int = 1) -> AsyncIterator[Observatory]:
    """Run it from the afternoon into the night, and open the roof."""
    async with Observatory(site, seed=seed, pixels="full", keep=_is_told) as observatory:
        await clock.sleep(3 * 3600)
        await observatory.until(lambda: observatory.state(SafetyMonitorState).verdict(clock.now())[0])
        await observatory.find(Enclosure, deadline=300).open()
        yield observatory


def _is_told(publication: Publication) -> bool:
    return publication.topic.name in ("AutoGuider", "GuideCorrected", "Acquisition", "ErrorRaised", "NewImage")


async def point(observatory: Observatory, target: tuple[float, float] = TARGET) -> None:
    """Slew to a target."""
    await observatory.find(Telescope, deadline=600).move_radec(*target)


async def expose(observatory: Observatory, count: int, exposure_time: float = 30.0) -> list[ImageRef]:
    """Take science frames, with a moment between them."""
    frames = []
    for _ in range(count):
        frames.append(await observatory.find(Camera, deadline=300).expose(exposure_time))
        await clock.sleep(3.0)
    return frames


def status(observatory: Observatory) -> AutoGuiderStatus:
    """What the guider does."""
    return observatory.state(AutoGuiderState).status


def pointings(observatory: Observatory) -> np.ndarray[Any, Any]:
    """Where each light frame really pointed, arcsec east and north of the first one."""
    text = (observatory.site.info.state_dir / "world" / "truth.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    first = lines[0]["ra"], lines[0]["dec"]
    return np.array([project(line["ra"], line["dec"], *first) for line in lines]) * 3600


async def push(observatory: Observatory, ra: float, dec: float) -> None:
    """Push the telescope by hand (arcsec): nobody is told."""
    await (await observatory.world()).execute("mount", "offset", d_ra=ra, d_dec=dec)
    await clock.sleep(1.0)  # before anybody asks the mount where it is
