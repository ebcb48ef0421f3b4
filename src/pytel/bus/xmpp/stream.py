"""One stream to the server: slixmpp connects and logs in, what comes after goes past its stanza objects.

slixmpp matches every stanza against all its handlers and keeps one more for each query under way. Here stanzas are
taken before a stanza object is made of them, and written to the transport as text. This touches internals of slixmpp
(`_spawn_event`, `transport`), which `tests/bus/xmpp/test_stream.py` watches; `stock=True` goes through its handlers and
its queue instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element

import msgspec
from slixmpp import ClientXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher.base import MatcherBase

from pytel.base.errors import Conflict, ConnectionLost, NotAllowed, PytelError, Timeout
from pytel.bus.xmpp.names import CLIENT

_STANZAS = frozenset({f"{{{CLIENT}}}iq", f"{{{CLIENT}}}message", f"{{{CLIENT}}}presence"})
BURST = 0.0002
"""Real seconds after a stanza within which the next ones are sent together; a call after the other takes longer."""
MECHANISMS = {"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-512-PLUS"}


class WrongPassword(NotAllowed):
    """The server knows no such account, or another password."""


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """Who logs in where. `host` None: by the SRV records of the domain."""

    account: str
    domain: str
    resource: str
    password: str
    host: str | None
    port: int
    tls: ssl.SSLContext

    @property
    def jid(self) -> str:
        """The full JID that is asked for."""
        return f"{self.account}@{self.domain}/{self.resource}"


class Stream(ClientXMPP):
    """A stream that is used once: `log_in`, then stanzas both ways, until it is lost or closed."""

    def __init__(
        self,
        login: Login,
        on_stanza: Callable[[Element], None],
        on_lost: Callable[[PytelError], None],
        *,
        stock: bool = False,
    ) -> None:
        super().__init__(
            login.jid,
            login.password,
            plugin_config={"feature_mechanisms": {"use_mechs": MECHANISMS}},
            ssl_context=login.tls,
        )
        self._login = login
        self._on_stanza, self._on_lost = on_stanza, on_lost
        self._stock = stock
        self._live = False
        self._behind: list[str] = []
        """Stanzas of a burst that go together when this turn of the event loop ends."""
        self._last_write = 0.0
        self._outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._fault: PytelError | None = None
        self.enable_direct_tls = False
        self.enable_plaintext = False
        self.whitespace_keepalive = False
        for name, handler in (
            ("session_start", self._session_started_now),
            ("connection_failed", self._unreachable),
            ("ssl_invalid_chain", self._untrusted),
            ("failed_all_auth", self._refused),
            ("stream_error", self._stream_error),
            ("disconnected", self._gone),
        ):
            self.add_event_handler(name, handler)

    async def log_in(self, deadline: float) -> None:
        """Connect, encrypt, log in and bind the resource.

        Raises `ConnectionLost`, `Timeout`, `WrongPassword`, and `NotAllowed` for a server that is not to be trusted.
        """
        self.connect(self._login.host, self._login.port if self._login.host else None)
        try:
            async with asyncio.timeout(deadline):
                await self._outcome
        except TimeoutError:
            self.end_at_once()
            raise Timeout(f"{self._where()} did not complete the log-in within {deadline:g} s") from None
        except BaseException:  # also when whoever waits is cancelled in the moment of success
            self.end_at_once()
            raise

    def _where(self) -> str:
        login = self._login
        return f"the XMPP server of {login.domain}" + (f" at {login.host}:{login.port}" if login.host else "")

    # what slixmpp tells

    def _session_started_now(self, _: Any) -> None:
        if self.boundjid.full != self._login.jid:
            self._fail(Conflict(f"{self._where()} gave the name {self.boundjid.full} instead of {self._login.jid}"))
            return
        if self._stock:
            self.register_handler(Callback("pytel", _AnyStanza(None), lambda stanza: self._on_stanza(stanza.xml)))
        self._live = True
        if not self._outcome.done():
            self._outcome.set_result(None)

    def _unreachable(self, reason: Any) -> None:
        self._fail(ConnectionLost(f"{self._where()} cannot be reached: {reason}"))

    def _untrusted(self, reason: Any) -> None:
        self._fail(NotAllowed(f"{self._where()} shows a certificate that is not trusted: {reason}; check 'ca'"))

    def _refused(self, _: Any) -> None:
        refused = f"{self._where()} does not let {self._login.account} in"
        if self.plugin["feature_mechanisms"].attempted_mechs:
            self._fail(WrongPassword(f"{refused}: wrong password or account"))
        else:
            self._fail(NotAllowed(f"{refused}: it offers no log-in that is safe (SCRAM-SHA-256)"))

    def _stream_error(self, error: Any) -> None:
        condition = error["condition"]
        if condition == "conflict":
            self._fault = Conflict(f"another copy of {self._login.account} has logged in and this one stops")
        else:
            self._fault = ConnectionLost(f"{self._where()} ended the stream: {condition} {error['text']}".rstrip())

    def _gone(self, reason: Any) -> None:
        if isinstance(reason, ssl.SSLCertVerificationError):
            self._untrusted(reason)
            return
        self._fail(self._fault or ConnectionLost(f"the link to {self._where()} was lost ({reason or 'closed'})"))

    def _fail(self, error: PytelError) -> None:
        was_live, self._live = self._live, False
        if not self._outcome.done():
            self._outcome.set_exception(error)
            self._outcome.exception()
        if was_live:
            self._on_lost(error)
        self.end_at_once()

    # the fast path

    def _spawn_event(self, xml: Element) -> None:
        if self._live and not self._stock and xml.tag in _STANZAS:
            self._on_stanza(xml)
        else:
            super()._spawn_event(xml)

    def write(self, text: str) -> None:
        """Send stanzas. Raises `ConnectionLost`."""
        if not self._live or self.transport is None:
            raise ConnectionLost(f"the link to {self._where()} is down")
        if self._stock:
            self.send(text)
        elif self._behind:
            self._behind.append(text)
        elif time.monotonic() - self._last_write < BURST:
            self._behind.append(text)
            asyncio.get_running_loop().call_soon(self._write_together)
        else:
            self._last_write = time.monotonic()
            self.transport.write(text.encode())

    def _write_together(self) -> None:
        """Send a burst in one piece: one record of TLS, one packet, for the server to take apart at once."""
        behind, self._behind = self._behind, []
        if behind and self._live and self.transport is not None:
            self._last_write = time.monotonic()
            self.transport.write("".join(behind).encode())

    # the end

    async def close(self, last_words: str = "", deadline: float = 1.0) -> None:
        """Say good-bye and hang up."""
        if self._live and self.transport is not None:
            self._write_together()
            self._live = False
            gone = self.disconnected
            self.transport.write(f"{last_words}</stream:stream>".encode())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(deadline):
                    await asyncio.shield(gone)
        self.end_at_once()

    def end_at_once(self) -> None:
        """Cut the connection without a word."""
        self._live = False
        self.cancel_connection_attempt()
        if self.transport is not None:
            self.transport.abort()
        filters = self._run_out_filters
        if filters is not None:
            filters.cancel()


class _AnyStanza(MatcherBase):
    def match(self, stanza: Any) -> bool:
        return stanza.xml.tag in _STANZAS
