"""Run every benchmark: `python -m benchmarks`, or some by name: `python -m benchmarks leanness`."""

from __future__ import annotations

import importlib
import sys

ALL = ("gateway", "http_bus", "images", "leanness", "local_bus", "virtual_night")


def main() -> None:
    """Run the benchmarks named on the command line, or all."""
    for name in sys.argv[1:] or ALL:
        if name not in ALL:
            sys.exit(f"there is no benchmark {name!r}; there are {', '.join(ALL)}")
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
