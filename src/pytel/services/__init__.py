"""What module authors start from: `Module` with its image client, and bases for devices with their interlocks.

    from pytel.services import Module, every, on

The bases (`enclosure`, `telescope`, `camera`, `focuser`, `filterwheel`) keep limits, time-outs and safety in one place;
a driver adds what is peculiar to its hardware: a handful of short methods. Pixels, the sky and FITS are imported where
they are used, so that a module without them stays small.
"""

from pytel.base.threads import in_thread
from pytel.module.config import ModuleConfig
from pytel.module.handlers import background, every, on
from pytel.services.module import Module

__all__ = ["Module", "ModuleConfig", "background", "every", "in_thread", "on"]
