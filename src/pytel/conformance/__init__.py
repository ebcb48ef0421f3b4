"""Trying a device through its module: whether it does what its interface promises, moving no more than is harmless."""
