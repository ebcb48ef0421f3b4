"""One address grammar everywhere: `[group.]module[@site]`."""

from __future__ import annotations

import re
from typing import NamedTuple

from pytel.base.errors import InvalidParams

NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
"""What a module, group or site may be called: it also is an XMPP local part and a file name."""
_ADDRESS = re.compile(rf"(?:(?P<group>{NAME.pattern})\.)?(?P<module>{NAME.pattern})(?:@(?P<site>{NAME.pattern}))?")


class Address(NamedTuple):
    """Who is called: a module, its group (None: shared by the whole site) and its site (None: this one)."""

    module: str
    group: str | None = None
    site: str | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `[group.]module[@site]`. Raises `InvalidParams`."""
        match = _ADDRESS.fullmatch(text)
        if match is None:
            raise InvalidParams(f"{text!r} is no address; write 'camera', 'south.camera' or 'camera@site'")
        return cls(match["module"], match["group"], match["site"])

    def __str__(self) -> str:
        group = f"{self.group}." if self.group else ""
        site = f"@{self.site}" if self.site else ""
        return f"{group}{self.module}{site}"
