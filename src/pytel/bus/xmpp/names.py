"""Names on the wire: namespaces, JIDs, and text that goes into XML."""

from __future__ import annotations

from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from pytel.base.errors import InvalidParams
from pytel.bus.address import Address

CLIENT = "jabber:client"
JSON = "urn:xmpp:json:0"
"""XEP-0335."""
RPC = "jabber:iq:rpc"
"""XEP-0009."""
PYTEL = "urn:pytel:module:1"
"""What a module's presence tells: its start, and what it wants to hear."""
PYTEL_RPC = "urn:pytel:rpc:1"
"""The feature of modules that take calls as JSON-RPC, and the namespace of what XEP-0009 has no place for."""
DISCO_INFO = "http://jabber.org/protocol/disco#info"
DISCO_ITEMS = "http://jabber.org/protocol/disco#items"
CAPS = "http://jabber.org/protocol/caps"
PUBSUB = "http://jabber.org/protocol/pubsub"
PUBSUB_EVENT = "http://jabber.org/protocol/pubsub#event"
PUBLISH_OPTIONS = "http://jabber.org/protocol/pubsub#publish-options"
FORMS = "jabber:x:data"
PING = "urn:xmpp:ping"
TIME = "urn:xmpp:time"
STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
RESOURCE = "pytel"
"""The resource of every module: one account, one module, one copy."""

text = escape
"""Escapes what stands between tags."""
attribute = quoteattr
"""Escapes an attribute's value and puts it into quotes."""


def child(parent: Element, namespace: str, name: str) -> Element | None:
    """The first child of that name, None when there is none."""
    return parent.find(f"{{{namespace}}}{name}")


class Realm:
    """Which address stands for which account: `south.camera` is `south.camera@DOMAIN/pytel`.

    `sites` maps the names of other sites to their domains.
    """

    def __init__(self, domain: str, sites: dict[str, str] | None = None) -> None:
        self.domain = domain
        self._domains = dict(sites or {})
        self._sites = {other: site for site, other in self._domains.items()}
        self._known: dict[str, Address | None] = {}
        self._accounts: dict[Address, str] = {}

    def bare_jid(self, address: Address) -> str:
        """The account of a module. Raises `InvalidParams` for a site that is not known here."""
        found = self._accounts.get(address)
        if found is None:
            if len(self._accounts) > 10_000:
                self._accounts.clear()
            found = self._accounts[address] = self._account(address)
        return found

    def _account(self, address: Address) -> str:
        local = str(address._replace(site=None))
        if address.site is None:
            return f"{local}@{self.domain}"
        if address.site not in self._domains:
            raise InvalidParams(f"the site {address.site!r} is not known here")
        return f"{local}@{self._domains[address.site]}"

    def full_jid(self, address: Address) -> str:
        """Where a module is called."""
        return f"{self.bare_jid(address)}/{RESOURCE}"

    def address(self, jid: str) -> Address | None:
        """The module of a JID, bare or full; None when it cannot be one."""
        bare = jid.partition("/")[0]
        if bare not in self._known:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[bare] = self._parse(bare)
        return self._known[bare]

    def _parse(self, bare: str) -> Address | None:
        local, _, domain = bare.partition("@")
        if domain != self.domain and domain not in self._sites:
            return None
        try:
            return Address.parse(local)._replace(site=self._sites.get(domain))
        except InvalidParams:
            return None
