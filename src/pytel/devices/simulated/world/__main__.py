"""Runs the simulated hardware of a directory in the background.

Use: `python -m pytel.devices.simulated.world DIRECTORY`.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from pytel.base.errors import PytelError
from pytel.devices.simulated.world.server import serve
from pytel.devices.simulated.world.wire import SETUP, read_setup


def main(arguments: list[str]) -> int:
    """Serve in the background until switched off; returns the exit status."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if len(arguments) != 1:
        logging.error("name one directory, such as: python -m pytel.devices.simulated.world state/world")  # noqa: LOG015
        return 2
    directory = Path(arguments[0])
    setup = read_setup(directory)
    if setup is None:
        logging.error("%s has no %s that can be read; 'pytel run' makes one", directory, SETUP)  # noqa: LOG015
        return 2
    if os.fork():
        return 0  # whoever started this may end when it likes: the child is nobody's
    os.setsid()
    try:
        serve(directory, setup)
    except PytelError as error:
        logging.error("%s", error.message)  # noqa: LOG015
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
