"""The base of what a site file may say about a module."""

from __future__ import annotations

import msgspec


class ModuleConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every module's configuration; its fields are the keys allowed in the site file.

    A field whose type carries a unit also takes a quantity there: `exposure_time: 2 min`.
    """
