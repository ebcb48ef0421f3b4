"""What every room may use: the clock, units, identifiers, errors, threads. Pure Python, imports nothing above."""
