"""Run figures of accuracy: `python -m benchmarks.accuracy [NAME ...] [--plots DIR] [--quick]`."""

from __future__ import annotations

import sys

from benchmarks.accuracy import main

main(sys.argv[1:])
