"""`pytel nights`."""

from __future__ import annotations

import logging

import typer


def simulate_nights(count: int, seed: int | None, faults: bool) -> bool:
    """Run simulated nights and print a line for each; returns whether all that must hold, held."""
    from pytel.testing.nights import run_nights

    # Faults are what these nights are made of: their warnings and calls would drown the verdicts.
    logging.getLogger("pytel").setLevel(logging.CRITICAL + 1)
    results = run_nights(count, seed, faults=faults, tell=lambda result: typer.echo(str(result)))
    bad = [result for result in results if result.violations]
    if bad:
        again = f"pytel nights --count 1 --seed {bad[0].seed}{'' if faults else ' --no-faults'}"
        typer.echo(f"{len(bad)} of {count} nights went wrong; to repeat the first: {again}")
    else:
        typer.echo(f"all that must hold, held in {count} night{'' if count == 1 else 's'}")
    return not bad
