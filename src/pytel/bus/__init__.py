"""How modules find, call and hear each other: the contract of a bus, and the buses that keep it.

A bus moves builtins only (what JSON can hold). Typing lives one floor up, in `pytel.module`.
"""
