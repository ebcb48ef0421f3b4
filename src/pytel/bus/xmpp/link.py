"""A link to the server that comes back by itself, and the queries (IQs) that go over it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
import secrets
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element

import msgspec

from pytel.base import clock
from pytel.base.errors import ConfigError, Conflict, ConnectionLost, PytelError, Timeout, wrap
from pytel.base.threads import in_thread
from pytel.bus.xmpp.names import CLIENT, PING, attribute
from pytel.bus.xmpp.stanza_errors import error_of
from pytel.bus.xmpp.stream import Login, Stream, WrongPassword

SILENCE = 5.0
"""Real seconds without a word from the server after which it is asked whether it is there, and for its answer."""
WRONG_PASSWORD_PAUSE = 60.0
"""Real seconds at most until a password that was wrong is tried again: somebody may have set it right."""
LOG_IN = 15.0
_IQ = f"{{{CLIENT}}}iq"
Inbound = Callable[[Element], None]


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server is, and how it is trusted: `ca` is a PEM file; without it the system's own count."""

    domain: str
    host: str | None = "127.0.0.1"
    port: int = 5222
    ca: Path | None = None
    stock: bool = False


class _Waiting(NamedTuple):
    answer: asyncio.Future[Element]
    expected: frozenset[str]
    timer: asyncio.TimerHandle


class Link:
    """Keeps one account logged in.

    `on_up` announces what is to be announced and is awaited before the link counts as up; `on_down` hears why it is
    not. `inbound` gets every stanza that answers no query of this link.
    """

    def __init__(
        self,
        server: Server,
        account: str,
        resource: str,
        password: Callable[[], Awaitable[str]],
        *,
        inbound: Inbound,
        on_up: Callable[[], Awaitable[None]],
        on_down: Callable[[PytelError], None],
    ) -> None:
        self.server, self.account, self.resource = server, account, resource
        self.bare_jid = f"{account}@{server.domain}"
        self.full_jid = f"{self.bare_jid}/{resource}"
        self.is_up = False
        self.fate: PytelError | None = None
        """Why this link has ended for good, None while it has not."""
        self.ended = asyncio.Event()
        self._password, self._inbound, self._on_up, self._on_down = password, inbound, on_up, on_down
        self._stream: Stream | None = None
        self._tls: ssl.SSLContext | None = None
        self._waiting: dict[str, _Waiting] = {}
        self._start = secrets.token_hex(4)
        """Tells the queries of this start apart: an answer to the one before, which had the same JID, is none to us."""
        self._ids = itertools.count(1)
        self._lost = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._listener: asyncio.Task[None] | None = None
        self._last_word = self._last_word_at = 0.0
        self._log = logging.getLogger(f"pytel.xmpp.{account}")
        self._own = frozenset({"", self.bare_jid, self.full_jid})

    # life

    async def open(self, patience: float) -> None:
        """Log in and announce; tries again for `patience` seconds while the server cannot be reached.

        Raises `ConnectionLost`, `Timeout`, `NotAllowed`, `ConfigError`, and what `on_up` raises.
        """
        until = asyncio.get_running_loop().time() + patience
        while True:
            try:
                await self._log_in()
                break
            except (ConnectionLost, Timeout):
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(random.uniform(0.2, 0.5))
        self._keeper = asyncio.create_task(self._keep(), name=f"{self.account} link")

    async def close(self, last_words: str = "") -> None:
        """Say good-bye and hang up for good."""
        await self._end_keeper()
        self._fail_all(ConnectionLost(f"{self.account} has left"))
        stream, self._stream, self.is_up = self._stream, None, False
        if stream is not None:
            await stream.close(last_words)

    def drop(self) -> None:
        """Vanish at once, as a killed process does."""
        if self._keeper is not None:
            self._keeper.cancel()
            self._keeper = None
        self.is_up = False
        self._fail_all(ConnectionLost(f"{self.account} has vanished"))
        if self._stream is not None:
            self._stream.end_at_once()
            self._stream = None

    async def _end_keeper(self) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None and keeper is not asyncio.current_task():
            keeper.cancel()
            await asyncio.wait([keeper])

    async def _log_in(self, resource: str | None = None) -> None:
        if self._tls is None:
            self._tls = await in_thread(_trusting, self.server.ca)
        login = Login(
            account=self.account,
            domain=self.server.domain,
            resource=resource or self.resource,
            password=await self._password(),
            host=self.server.host,
            port=self.server.port,
            tls=self._tls,
        )
        self._lost.clear()
        stream = Stream(login, self._receive, self._stream_lost, stock=self.server.stock)
        await stream.log_in(LOG_IN)
        self._stream = stream
        self._hear()
        try:
            await self._on_up()
            if self._stream is not stream:
                raise ConnectionLost(f"the link of {self.account} was lost again at once")
        except BaseException as error:
            stream.end_at_once()
            if self._stream is stream:
                self._stream_lost(error if isinstance(error, PytelError) else ConnectionLost("the log-in was given up"))
            raise
        self.is_up = True

    def _hear(self) -> None:
        self._last_word, self._last_word_at = asyncio.get_running_loop().time(), clock.real_time()

    async def is_taken(self) -> bool:
        """Tell whether a living copy of this account is logged in (the server would throw it out for a second one).

        Raises `ConnectionLost`, `Timeout`, `NotAllowed`, `ConfigError`.
        """
        probe = f"probe-{random.getrandbits(32):08x}"
        other = Link(
            self.server,
            self.account,
            probe,
            self._password,
            inbound=lambda stanza: None,
            on_up=_nothing,
            on_down=lambda error: None,
        )
        other._tls = self._tls
        try:
            await other._log_in()
            self._tls = other._tls
            return await other._answers(self.full_jid)
        finally:
            await other.close()

    async def _answers(self, jid: str) -> bool:
        try:
            answer = await self.query("get", jid, f"<ping xmlns='{PING}'/>", timeout=3.0)
        except Timeout:
            return False  # a session whose link is dead: the server lets us take its place
        return answer.get("type") == "result"

    def _stream_lost(self, error: PytelError) -> None:
        stream, self._stream, self.is_up = self._stream, None, False
        self._fail_all(ConnectionLost(error.message))
        if stream is not None:  # even if not all was announced on it: others may have been heard already
            self._on_down(error)
        if isinstance(error, Conflict):
            self.fate = error
            self.ended.set()
        self._lost.set()

    async def _keep(self) -> None:
        while True:
            await self._watch_silence()
            if self.fate is not None:
                self._log.error("%s", self.fate.message)
                return
            await self._log_in_again()

    async def _watch_silence(self) -> None:
        """Return when the stream is lost; ask the server for a sign of life when it says nothing."""
        loop = asyncio.get_running_loop()
        while not self._lost.is_set():
            pause = self._last_word + SILENCE - loop.time()
            if pause > 0:
                await _set_within(self._lost, pause)
                continue
            try:
                await self.query("get", self.server.domain, f"<ping xmlns='{PING}'/>", timeout=SILENCE)
            except Timeout:
                if self._stream is not None and loop.time() - self._last_word >= SILENCE:
                    stream = self._stream
                    stream.end_at_once()
                    self._stream_lost(ConnectionLost(f"the server of {self.server.domain} no longer answers"))
            except ConnectionLost:
                continue
            self._last_word = max(self._last_word, loop.time() - 0.01)

    async def _log_in_again(self) -> None:
        self._log.warning("the link to the server is lost; trying to get it back")
        known, refused = "", _Refused()
        while True:
            await asyncio.sleep(random.uniform(0.3, 1.0) * (2.0 if known else 1.0))
            try:
                await refused.wait_for_another(self._password)
                await self._log_in()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt may do better
                self._tls = None  # the certificate of the CA may have been renewed meanwhile
                said = wrap(error).message
                if said != known:
                    self._log.warning("no link yet: %s", said)
                known = said
                if isinstance(error, WrongPassword):
                    refused.note()
            else:
                self._log.info("the link to the server is back")
                return

    @property
    def is_kept(self) -> bool:
        """Whether it is opened: when it is lost, it comes back."""
        return self._keeper is not None and not self._keeper.done()

    # stanzas

    @property
    def can_write(self) -> bool:
        """Whether there is a stream, even if what must be announced on it is not announced yet."""
        return self._stream is not None

    @property
    def last_word_at(self) -> float:
        """When the server was heard last, in real time: while a machine sleeps, the loop's own clock stands still."""
        return self._last_word_at

    def write(self, text: str) -> None:
        """Send stanzas. Raises `ConnectionLost`; nothing is ever queued."""
        stream = self._stream
        if stream is None:
            raise ConnectionLost(f"{self.account} is not connected to the server of {self.server.domain}")
        stream.write(text)

    def query(self, kind: str, to: str | None, content: str, timeout: float) -> asyncio.Future[Element]:
        """Send an IQ; the answer is the whole `<iq/>`, of type result or error.

        The future raises `ConnectionLost` and `Timeout`. `to` None is one's own account.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Element] = loop.create_future()
        identity = f"{self._start}-{next(self._ids)}"
        head = f"<iq type='{kind}' id='{identity}'" + (f" to={attribute(to)}>" if to else ">")
        self.write(f"{head}{content}</iq>")
        expected = frozenset({to}) if to and to != self.bare_jid else self._own
        timer = loop.call_later(timeout, self._time_out, identity, timeout)
        self._waiting[identity] = _Waiting(answer, expected, timer)
        return answer

    async def ask(self, kind: str, to: str | None, content: str, timeout: float = 10.0) -> Element:
        """Send an IQ and return the answer; an error answer is raised as what it means."""
        answer = await self.query(kind, to, content, timeout)
        if answer.get("type") == "error":
            raise error_of(answer, to or self.bare_jid)
        return answer

    def fail_queries_to(self, jid: str, error: PytelError) -> None:
        """Give up waiting for an account that is gone."""
        for identity, waiting in list(self._waiting.items()):
            if jid in waiting.expected:
                self._settle(identity, error)

    def _receive(self, stanza: Element) -> None:
        self._hear()
        if stanza.tag == _IQ and stanza.get("type") in ("result", "error"):
            identity = stanza.get("id", "")
            waiting = self._waiting.get(identity)
            if waiting is not None and stanza.get("from", "") in waiting.expected:
                del self._waiting[identity]
                waiting.timer.cancel()
                if not waiting.answer.done():
                    waiting.answer.set_result(stanza)
            return
        try:
            self._inbound(stanza)
        except Exception as error:  # noqa: BLE001 - one stanza must not end the stream, whatever it does to our code
            self._log.error("a stanza of %s was dropped: %r", stanza.get("from", "the server"), error)

    def _time_out(self, identity: str, timeout: float) -> None:
        waiting = self._waiting.get(identity)
        if waiting is not None:
            who = next(iter(waiting.expected)) if waiting.expected is not self._own else "the server"
            self._settle(identity, Timeout(f"{who} did not answer within {timeout:g} s"))

    def _settle(self, identity: str, error: PytelError) -> None:
        waiting = self._waiting.pop(identity)
        waiting.timer.cancel()
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
            waiting.answer.exception()  # whoever asked may have stopped waiting; that is no fault

    def _fail_all(self, error: PytelError) -> None:
        for identity in list(self._waiting):
            self._settle(identity, error)


async def _nothing() -> None:
    return


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


def _trusting(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca) if ca and ca.exists() else None)
    except OSError as error:
        raise ConfigError(f"the CA certificate {ca} cannot be read: {error.strerror or error}") from error


class _Refused:
    """A password that was wrong: tried again ever more seldom, as servers shut out whom they refuse too often.

    Another one, which somebody has written down meanwhile, is tried at once.
    """

    def __init__(self) -> None:
        self._shown: str | None = None
        self._wrong: str | None = None
        self._pause = 1.0

    def note(self) -> None:
        """The one that was shown last was wrong."""
        self._pause = min(2.0 * self._pause, WRONG_PASSWORD_PAUSE) if self._shown == self._wrong else 1.0
        self._wrong = self._shown

    async def wait_for_another(self, password: Callable[[], Awaitable[str]]) -> None:
        """Wait until there is another, or the same may be tried once more. Raises what `password` raises."""
        waited = 0.0
        self._shown = await password()
        while self._shown == self._wrong and waited < self._pause:
            await asyncio.sleep(0.5)
            waited += 0.5
            self._shown = await password()
