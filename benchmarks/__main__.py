"""Run every benchmark: `python -m benchmarks`, or some by name: `python -m benchmarks leanness`.

Options after the name of one go to it: `python -m benchmarks messaging --quick`.
"""

from __future__ import annotations

import importlib
import sys

ALL = ("accuracy", "gateway", "images", "indi_blob", "leanness", "local_bus", "messaging", "virtual_night")
WITH_OPTIONS = ("accuracy", "images", "indi_blob", "messaging")


def main() -> None:
    """Run the benchmarks named on the command line, or all."""
    split = next((place for place, word in enumerate(sys.argv) if word.startswith("-")), len(sys.argv))
    names, options = sys.argv[1:split] or ALL, sys.argv[split:]
    if options and (len(names) != 1 or names[0] not in WITH_OPTIONS):
        sys.exit(f"options belong to one benchmark that takes them: name it first, of {', '.join(WITH_OPTIONS)}")
    for name in names:
        if name not in ALL:
            sys.exit(f"there is no benchmark {name!r}; there are {', '.join(ALL)}")
        module = importlib.import_module(f"benchmarks.{name}")
        module.main(options) if options else module.main()


if __name__ == "__main__":
    main()
