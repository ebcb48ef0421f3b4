"""Closed loops at the telescope: safety, focus, the control lease, and calling a person.

Each file holds one module; what can be thought through without devices (limits, hysteresis, focus series) stands in a
file of its own beside it, without any bus.
"""
