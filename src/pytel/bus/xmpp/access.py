"""Who may do what: roles by full bare JID, as the server vouches for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytel.bus.contract import Caller, Role
from pytel.bus.xmpp.config import PROXIES, XmppConfig


class Access:
    """Knows modules, proxies and people by their bare JIDs; everybody else is nobody.

    The local part alone never counts: `telescope` of another domain is a stranger.
    """

    def __init__(self, roles: Mapping[str, Role], proxies: Iterable[str] = ()) -> None:
        self._roles = dict(roles)
        self._proxies = frozenset(proxies)

    @classmethod
    def of(cls, config: XmppConfig) -> Access:
        """What a site file says."""
        roles = {f"{name}@{config.domain}": role for name, role in config.people.items()}
        roles |= dict(config.trusted)
        roles |= {f"{name}@{config.domain}": Role.MODULE for name in config.members}
        return cls(roles, (f"{name}@{config.domain}" for name in PROXIES))

    def role(self, bare_jid: str) -> Role | None:
        """The role of an account, None for a stranger."""
        return self._roles.get(bare_jid)

    def is_module(self, bare_jid: str) -> bool:
        """Whether an account is believed in what it publishes and shows of itself; no person is, an admin neither."""
        return self._roles.get(bare_jid) is Role.MODULE

    def caller(self, bare_jid: str, name: str) -> Caller | None:
        """How a caller is introduced to the callee as `name`; None for a stranger."""
        role = self._roles.get(bare_jid)
        return None if role is None else Caller(name, role, bare_jid in self._proxies)
