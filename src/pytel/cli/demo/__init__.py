"""The demonstration: a simulated observatory in a directory of its own, and what is shown of its nights."""

from __future__ import annotations

from pytel.cli.demo.options import DemoOptions


def run_demo(options: DemoOptions) -> bool:
    """Run the demonstration to its end; returns whether it got there. Raises `ConfigError`, `AlreadyRunning`."""
    from pytel.cli.demo.run import run_demo as run

    return run(options)


__all__ = ["DemoOptions", "run_demo"]
