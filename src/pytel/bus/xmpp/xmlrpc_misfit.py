"""What XML-RPC values may not be, and where a value is wrong."""

from __future__ import annotations

MAX_DEPTH = 64
"""How deep arrays and structs may stand in each other."""
MAX_VALUES = 50_000
"""How many values a message may have: more than fit into a stanza of a megabyte when written by us."""


class Misfit(Exception):
    """A value that cannot be written or read; grows the path to it on the way up."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
        self.path = ""

    def within(self, step: str) -> Misfit:
        """The same, one step further from the value."""
        self.path = step + self.path
        return self

    def sentence(self, root: str) -> str:
        """Place and fault for people."""
        return f"{root}{self.path} {self.what}"


def shown(text: str) -> str:
    """A text of a stranger, short enough for a sentence."""
    return text if len(text) <= 40 else f"{text[:37]}..."
