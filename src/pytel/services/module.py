"""The class that module authors inherit from."""

from __future__ import annotations

from functools import cached_property

from pytel.module.module import Module as BareModule
from pytel.services.images import ImageClient


class Module(BareModule):
    """A module that also reads and writes images.

    Name it before the interfaces: `class MyCamera(Module, Camera)`.
    """

    @cached_property
    def images(self) -> ImageClient:
        """Images by reference, wherever their store is."""
        return ImageClient(self)
