"""`pytel nights`."""

from __future__ import annotations


def simulate_nights(count: int, seed: int, faults: bool) -> bool:
    """Run simulated nights and print a line for each; returns whether all invariants held."""
    from pytel.testing.nights import run_nights

    return bool(run_nights(count, seed, faults=faults))
