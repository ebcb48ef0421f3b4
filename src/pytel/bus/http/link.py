"""One other module: its event stream, by which it is present, and the calls to it."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from pytel.base import clock, ids
from pytel.base.errors import ConnectionLost, ModuleNotFound, NotAllowed, PytelError
from pytel.bus import jsonrpc
from pytel.bus.address import Address
from pytel.bus.contract import Builtin, CallOptions, Card, Peer
from pytel.bus.http import sse
from pytel.bus.http.client import CONNECT_TIMEOUT, Client, Refused, Silent, broken, new_nonce
from pytel.bus.http.credentials import proof
from pytel.bus.http.outbox import Outbox
from pytel.bus.http.reception import Reception
from pytel.bus.publications import heard, iso_time

PAUSE = 0.5
LONGEST_PAUSE = 2.0
LATE = 2.0
"""Real seconds after which an event that had to be fetched is no news any more, but marked as replayed."""
CLOCKS_EVERY = 60.0
"""Real seconds between comparisons of the clocks."""
ALARMING_SKEW = 1.0
MAX_SKEW = 300.0
_EARLIER = 60.0
"""Seconds that are asked for in excess at the first contact: what came before we listened is left out here."""


class _Card(msgspec.Struct, frozen=True, kw_only=True):
    address: str
    card: Card
    proof: str = ""
    follows: bool = False


class Link:
    """Follows one other module for as long as it runs."""

    def __init__(
        self,
        peer: Address,
        client: Client,
        secret: str,
        boot: str,
        reception: Reception,
        outbox: Outbox,
        log: logging.Logger,
    ) -> None:
        self._peer, self._client, self._secret, self._boot = peer, client, secret, boot
        self._reception, self._outbox, self._log = reception, outbox, log
        self._card: Card | None = None
        self._position: sse.Position | None = None
        self._is_lost = False
        self._is_live = False
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._is_followed = asyncio.Event()
        self._following: asyncio.Task[None] | None = None
        self._trouble = ""
        self._is_skewed = False

    # calls

    async def call(
        self, method: str, params: Mapping[str, Builtin] | Sequence[Builtin], options: CallOptions
    ) -> Builtin:
        """Call a method. Raises what the callee raised, `ModuleNotFound`, `ConnectionLost`, `Timeout`."""
        is_known = self._card is not None or self._is_lost or await self._look(options.timeout)
        if self._card is not None:
            return await self._client.call(method, params, options)
        if self._is_lost or not is_known:
            raise ConnectionLost(f"{self._peer} cannot be reached: {self._trouble or 'it does not answer'}")
        raise ModuleNotFound(f"no module called {self._peer} is on the bus; is it started?")

    async def _look(self, patience: float) -> bool:
        """See at once whether a module that was not there has come; tells whether that could be found out."""
        self._settled.clear()
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(patience, CONNECT_TIMEOUT)):
                await self._settled.wait()
        return self._settled.is_set()

    # presence

    def seen(self, boot: str) -> None:
        """The module has come to us, so it is there; with another boot than the one we follow that one is dead."""
        self._wake.set()
        if self._card is not None and boot and boot != self._card.boot and self._following is not None:
            self._following.cancel()

    def follows(self, boot: str) -> bool:
        """Tell whether we follow this start of the module."""
        return self._is_live and self._card is not None and self._card.boot == boot

    async def met(self, *, mutually: bool) -> None:
        """Wait until it is known that the module is not there, or we follow it (and it follows us)."""
        await self._settled.wait()
        if self._card is not None and mutually:
            await self._is_followed.wait()

    async def run(self) -> None:
        """Follow the module, whenever it is there."""
        pause = PAUSE
        while True:
            self._wake.clear()
            self._is_live = False
            self._following = asyncio.create_task(self._follow(), name=f"follow {self._peer}")
            try:
                await asyncio.wait([self._following])
            except asyncio.CancelledError:
                self._following.cancel()
                await asyncio.wait([self._following])
                raise
            pause = PAUSE if self._is_live else min(LONGEST_PAUSE, pause * 2)
            self._ended(self._following)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause * ids.uniform(0.8, 1.0)):
                    await self._wake.wait()

    def _ended(self, following: asyncio.Task[None]) -> None:
        error = None if following.cancelled() else following.exception()
        # A stream that broke says little: whether the module is gone or the network, the next attempt will show.
        is_clear = isinstance(error, Silent) or not self._is_live
        self._is_lost = error is not None and is_clear and not isinstance(error, Refused)
        if isinstance(error, PytelError):
            self._trouble_is("" if isinstance(error, Refused) else error.message)
        elif error is not None:
            self._trouble_is(f"following it failed by a fault: {error!r}")
            self._log.error("following %s failed by a fault", self._peer, exc_info=error)
        self._card = None
        self._is_live = False
        self._reception.gone(self._peer)
        self._settled.set()
        self._is_followed.set()

    def _trouble_is(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            self._log.warning("%s cannot be reached: %s", self._peer, trouble)
        self._trouble = trouble

    # the stream

    async def _follow(self) -> None:
        await self._compare_clocks()
        comparing = asyncio.create_task(self._keep_comparing_clocks(), name=f"clock of {self._peer}")
        try:
            await self._read_stream()
        except (aiohttp.ClientError, OSError) as error:
            raise broken(error) from error
        finally:
            comparing.cancel()
            await asyncio.wait([comparing])

    async def _read_stream(self) -> None:
        nonce = new_nonce()
        parser = sse.Parser()
        async with self._client.stream(self._since(), self._boot, nonce) as response:
            self._client.check_stream(response)
            async for piece in response.content.iter_any():
                for event in parser.feed(piece):
                    if event.name == "bye":
                        return
                    self._take(event, nonce)
        if not self._is_live:
            raise ConnectionLost("its events ended before they began")

    def _since(self) -> str | None:
        if self._position is not None:
            return str(self._position)
        listening = self._reception.listening_since()
        return iso_time(listening - _EARLIER) if listening is not None else None

    def _take(self, event: sse.Event, nonce: str) -> None:
        if self._card is None:
            self._greet(event, nonce)
        elif event.name == "live":
            self._is_live = True
            self._settled.set()
            self._outbox.tell(str(self._peer), sse.encode(sse.Event("", "follows", b"{}")))
        elif event.name == "follows":
            self._is_followed.set()
        else:
            self._hear(event, self._card)

    def _greet(self, event: sse.Event, nonce: str) -> None:
        try:
            card = msgspec.json.decode(event.data, type=_Card)
        except msgspec.DecodeError as error:
            raise ConnectionLost(f"what answers at its address is no module of this site ({error})") from error
        if event.name != "card" or card.address != str(self._peer):
            raise ConnectionLost(f"{card.address[:100]!r} answers at its address; mend http: modules or listen")
        if not hmac.compare_digest(card.proof.encode(), proof(self._secret, self._client.own, nonce).encode()):
            raise NotAllowed("what answers at its address does not know its secret; is the port another program's?")
        if self._position is not None and self._position.boot != card.card.boot:
            self._position = sse.Position(card.card.boot, 0)
        self._card = card.card
        self._trouble_is("")
        if card.follows:
            self._is_followed.set()
        self._reception.appeared(Peer(address=self._peer, card=card.card))

    def _hear(self, event: sse.Event, card: Card) -> None:
        message = jsonrpc.parse(event.data)
        publication = heard(message)
        position = sse.Position.parse(event.id)
        if publication.publisher != self._peer or publication.boot != card.boot or position.boot != card.boot:
            raise ConnectionLost("it speaks for others")
        is_event = publication.topic.kind == "event"
        known = self._position.number if self._position is not None else 0
        if is_event and position.number <= known:
            return
        self._position = sse.Position(card.boot, max(known, position.number))
        sent = _sent(message) - self._client.offset
        if is_event and not self._is_live and clock.real_time() - sent > LATE:
            publication = msgspec.structs.replace(publication, replayed=True)
        self._reception.hear(publication, None if self._is_live else sent)

    # clocks

    async def _keep_comparing_clocks(self) -> None:
        while True:
            await asyncio.sleep(CLOCKS_EVERY)
            with contextlib.suppress(ConnectionLost):
                await self._compare_clocks()

    async def _compare_clocks(self) -> None:
        offset = await self._client.compare_clocks()
        if abs(offset) > MAX_SKEW:
            raise ConnectionLost(f"its clock differs by {offset:.0f} s from ours; set both right")
        self._client.offset = offset
        is_skewed = abs(offset) > ALARMING_SKEW
        if is_skewed and not self._is_skewed:
            self._log.warning("the clock of %s is %.1f s ahead of ours; set both right", self._peer, offset)
        self._is_skewed = is_skewed


def _sent(message: Any) -> float:
    sent = message.get("sent")
    return float(sent) if isinstance(sent, (int, float)) and not isinstance(sent, bool) else 0.0
