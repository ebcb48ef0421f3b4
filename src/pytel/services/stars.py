"""The stars that a site's frames are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytel.module.site import SiteInfo

if TYPE_CHECKING:
    from pytel.sky.catalogue import StarSource


def site_stars(site: SiteInfo, catalogue: str | None = None) -> StarSource:
    """Where `pytel.imaging.solving.solve_field` takes its stars from at this site; blocking when first used.

    `catalogue` is a packed file (`pytel catalogue pack`), relative to the site file; None is the bundled Tycho-2. Stars
    are invented only where the sky is the simulated world's. Raises `ConfigError` if the file is no catalogue.
    """
    from pathlib import Path

    from pytel.sky.catalogue import star_source

    home = site.path.parent if site.path else Path()
    return star_source(home / catalogue if catalogue else None, invent=site.simulation is not None)
