"""Goals, and whether they hold: the table that every figure of accuracy ends with."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import report

_MAIN = "\ndef main(options: Options)"


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    plots: Path | None = None
    """Where to draw, if at all."""
    quick: bool = False
    """A tenth of the cases: to look at, not to quote."""
    share: float = 1.0
    """How much of the cases to take; that is told with the figures."""

    def cases(self, number: int) -> int:
        """How many cases to take out of `number`."""
        return min(number, max(3, round(number * self.share * (0.1 if self.quick else 1.0))))


class Row(NamedTuple):
    """A figure and its goal."""

    what: str
    figure: float
    goal: float | None = None
    """None for a figure without a goal."""
    peer: str = ""
    """What a peer reached on the same frames."""
    least: bool = False
    """The goal is a lower bound instead of an upper one."""
    unit: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the goal is reached."""
        if self.goal is None:
            return None
        return self.figure >= self.goal if self.least else self.figure <= self.goal


def tell(title: str, rows: Sequence[Row], *packages: str, notes: Sequence[str] = ()) -> bool:
    """Print the table and keep it; gives whether all goals hold."""
    table: list[tuple[str, ...]] = [(title, "figure", "goal", "", "peer")]
    for row in rows:
        goal = "" if row.goal is None else f"{'≥' if row.least else '≤'} {row.goal:g} {row.unit}".strip()
        verdict = {None: "", True: "holds", False: "misses"}[row.holds]
        table.append((row.what, f"{row.figure:.4g} {row.unit}".strip(), goal, verdict, row.peer))
    report(f"Accuracy: {title}", table, "pytel-ocs", "numpy", "sep", *packages, notes=notes)
    return all(row.holds is not False for row in rows)


@contextmanager
def figure(options: Options, name: str, **size: Any) -> Iterator[Any]:
    """A matplotlib figure that is kept as `name`.png in the folder for plots; draw only if `options.plots`."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    assert options.plots is not None
    drawn = pyplot.figure(layout="constrained", **{"figsize": (9, 4.5), **size})
    yield drawn
    options.plots.mkdir(parents=True, exist_ok=True)
    path = options.plots / f"{name}.png"
    drawn.savefig(path, dpi=110)
    pyplot.close(drawn)
    print(f"drawn: {path}", file=sys.stderr)


def names() -> list[str]:
    """All figures there are: the modules beside this one that have a `main(options)`."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if _MAIN in path.read_text())


def run(arguments: list[str]) -> None:
    """Run what the command line names, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description="Accuracy on simulated frames")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())} (default: all)")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw plots into this folder (needs matplotlib)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the cases: to look at, not to quote")
    parser.add_argument("--share", type=float, default=1.0, help="how much of the cases to take (default: all, 1)")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.names) - set(names()))
    if unknown:
        parser.error(f"there is no figure {unknown[0]!r}; there are {', '.join(names())}")
    for name in given.names or names():
        module = importlib.import_module(f"benchmarks.accuracy.{name}")
        module.main(Options(plots=given.plots, quick=given.quick, share=given.share))
