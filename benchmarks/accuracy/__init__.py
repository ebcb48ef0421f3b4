"""What is claimed about accuracy, on simulated frames whose truth is known: `python -m benchmarks.accuracy NAME`.

Each figure is a module here with `main(options: Options)`; it measures, tells its `Row`s by `goals.tell`, and draws by
`goals.figure` if `options.plots` is a folder.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(options: Sequence[str] = ()) -> None:
    """Run the figures named in the options, or all."""
    from benchmarks.accuracy.goals import run

    run(list(options))
