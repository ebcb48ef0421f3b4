"""People on the XMPP server: their connections, and whether a password is theirs."""

from __future__ import annotations

import asyncio
import logging
import secrets

from pytel.base.errors import ConnectionLost, NotAllowed, Timeout
from pytel.bus.address import NAME, Address
from pytel.bus.contract import Role
from pytel.bus.xmpp.access import Access
from pytel.bus.xmpp.bus import XmppBus
from pytel.bus.xmpp.config import Wire, XmppConfig
from pytel.bus.xmpp.connection import server_of
from pytel.bus.xmpp.link import Link, Server
from pytel.bus.xmpp.stream import WrongPassword

SHORTEST_CHECK = 0.5
"""Real seconds that a check takes at least: how long it took must not tell which names there are."""


class Household(Access):
    """What a person's own program believes: every account of the domain in what it shows of itself.

    It serves no calls, so that nobody needs a role with it.
    """

    def __init__(self, domain: str) -> None:
        super().__init__({})
        self._domain = domain

    def role(self, bare_jid: str) -> Role | None:
        """The role of an account."""
        return Role.MODULE if self.is_module(bare_jid) else None

    def is_module(self, bare_jid: str) -> bool:
        """Whether it belongs to the domain."""
        return bare_jid.partition("@")[2] == self._domain


def person_bus(server: Server, name: str, password: str, *, wire: Wire = "json", patience: float = 0.0) -> XmppBus:
    """A person's connection, one of as many as he likes. Raises `InvalidParams` for what is no account's name."""

    async def ask() -> str:
        return password

    logging.getLogger("slixmpp").setLevel(logging.CRITICAL)  # what it has to tell, our errors tell
    return XmppBus(
        Address.parse(name),
        server,
        ask,
        Household(server.domain),
        wire=wire,
        resource=f"cli-{secrets.token_hex(4)}",
        patience=patience,
    )


class XmppPasswords:
    """Checks a person's password by logging in as that account: accounts live in one place."""

    def __init__(self, config: XmppConfig) -> None:
        self._config = config
        self._server = server_of(config)

    async def check(self, name: str, password: str) -> Role | None:
        """The role of a person whose password is right, None for everybody else. Raises `ConnectionLost`."""
        began = asyncio.get_running_loop().time()
        is_right = await self._logs_in(name, password)
        passed = asyncio.get_running_loop().time() - began
        await asyncio.sleep(max(0.0, SHORTEST_CHECK - passed))
        return self._config.people.get(name) if is_right else None

    async def _logs_in(self, name: str, password: str) -> bool:
        """Ask the server for every name, so that the time this takes tells nothing of it."""
        if NAME.fullmatch(name) is None:
            name = f"nobody-{secrets.token_hex(4)}"

        async def ask() -> str:
            return password

        async def announce_nothing() -> None:
            return

        link = Link(
            self._server,
            name,
            f"check-{secrets.token_hex(4)}",
            ask,
            inbound=lambda stanza: None,
            on_up=announce_nothing,
            on_down=lambda error: None,
        )
        try:
            await link.open(0.0)
        except WrongPassword:
            return False
        except (NotAllowed, Timeout) as error:  # a server that is not to be trusted has not been asked
            raise ConnectionLost(error.message) from error
        finally:
            await link.close()
        return True
