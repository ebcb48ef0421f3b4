"""Writes the plans of all processes of a site, for those that systemd starts: `python -m pytel.cli.plan SITE.yaml`."""

from __future__ import annotations

import sys
from pathlib import Path

from pytel.base.errors import PytelError
from pytel.cli.site_clock import site_clock
from pytel.module.plan import plan_of, process_names, source_of, write_plan
from pytel.module.process_wire import EXIT_CONFIG, PLAN, process_directory
from pytel.module.sitefile import load_site


def main(path: Path) -> int:
    """Write the plans and the epoch of the clock; returns the exit status."""
    try:
        site = load_site(path)
        site_clock(site)
    except PytelError as error:
        sys.stderr.write(f"{error.message}\n")
        return EXIT_CONFIG
    for name in process_names(site):
        write_plan(process_directory(site.info.state_dir, name) / PLAN, plan_of(site, name, source_of(path)))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
