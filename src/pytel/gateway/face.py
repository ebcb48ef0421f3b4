"""pytel as a foreign system wants to see it: its own methods, carried out by the modules of the site."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from pytel.base.errors import ConfigError
from pytel.bus.address import Address
from pytel.bus.people import FILE
from pytel.gateway.audit import AuditLog
from pytel.gateway.doorkeeper import Doorkeeper
from pytel.gateway.face_methods import FaceMethod, faults_of_method, interface_named
from pytel.gateway.face_words import faults_of_errors
from pytel.gateway.front import HttpFront
from pytel.module.faults import Found

if TYPE_CHECKING:
    from starlette.types import ASGIApp


class ForeignFace(HttpFront):
    """Serves JSON-RPC 2.0 under the names and in the units of a foreign system; people log in as at the gateway.

    Calls are made in the person's name: roles and the control lease hold as everywhere.
    """

    class Config(HttpFront.Config, frozen=True, kw_only=True):
        """The methods, which codes our errors have, and which module is meant where several could be."""

        listen: str = "127.0.0.1:8090"
        path: Annotated[str, Meta(pattern=r"^/[A-Za-z0-9/_.-]*$")] = "/rpc"
        gateway: str = "gateway"
        """The module whose accounts open this door; it need not run."""
        methods: dict[str, FaceMethod]
        modules: dict[str, str] = msgspec.field(default_factory=dict)
        errors: dict[str, int] = msgspec.field(default_factory=dict)

        def faults(self) -> Iterator[Found]:
            """Tell what is wrong with the mapping."""
            for name, method in self.methods.items():
                for where, message in faults_of_method(method):
                    yield ("methods", name, *where), message
            for name in self.modules:
                if interface_named(name) is None:
                    yield ("modules", name), f"pytel has no interface {name!r}"
            yield from faults_of_errors(self.errors)

    config: Config

    def accounts_file(self) -> Path:
        """The gateway's."""
        return self.site.state_dir / self.config.gateway / FILE

    def make_app(self, doorkeeper: Doorkeeper, audit: AuditLog, *, secure: bool) -> ASGIApp:
        """Make what answers."""
        from pytel.gateway.face_web import FaceWeb

        if found := list(self.config.faults()):
            raise ConfigError(f"{self.address}: {found[0][1]}")
        return FaceWeb(self.door, doorkeeper, audit, self.config, self.whom).app

    def whom(self, interface: str) -> Address:
        """Which module carries out the calls of an interface. Raises `ModuleNotFound`, `AmbiguousModule`."""
        kind = interface_named(interface)
        if kind is None:
            raise ConfigError(f"{self.address}: pytel has no interface {interface!r}")
        return self.address_of(self.find(kind, name=self.config.modules.get(interface)))
