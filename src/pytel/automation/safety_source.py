"""Where the text of a foreign safety monitor comes from: a file, a URL, or what a command prints.

All of it is foreign and may be hostile: it is bounded in bytes and in time, and nothing in it is believed but what the
site's own pattern finds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import Callable, Coroutine
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from pytel.base import clock
from pytel.base.errors import ConfigError, ConnectionLost, DeviceError, LimitExceeded, Timeout
from pytel.base.threads import in_thread
from pytel.base.units import Seconds

if TYPE_CHECKING:
    import aiohttp

LONGEST = 16 * 1024
"""Bytes; a state of a roof that needs more is none."""
_REDIRECTS = 3


class Text(NamedTuple):
    """What was read, and how old the source says it is (None: it does not say)."""

    text: str
    age: Seconds | None


Source = Callable[[], Coroutine[Any, Any, Text]]


def source(path: str | None, url: str | None, command: tuple[str, ...], deadline: Seconds) -> Source:
    """The one source that is given; `deadline` is real seconds. Raises `ConfigError`."""
    given = [word for word, value in (("path", path), ("url", url), ("command", command)) if value]
    if len(given) != 1:
        raise ConfigError(f"give one of path, url and command, not {' and '.join(given) or 'none'}")
    if path:
        return _File(Path(path).expanduser(), deadline).read
    if url:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ConfigError(f"url: {url!r} is none; write http://… or https://…")
        return lambda: _in_time(_fetch(url), deadline, url)
    return lambda: _in_time(_run(command), deadline, command[0])


async def _in_time(work: Coroutine[Any, Any, Text], deadline: Seconds, what: str) -> Text:
    try:
        async with asyncio.timeout(deadline):
            return await work
    except TimeoutError:
        raise Timeout(f"{what} did not answer within {deadline:g} s") from None
    except OSError as error:
        raise DeviceError(f"{what} cannot be read: {error.strerror or error}", device=what) from error


class _File:
    """Reads one file; while a reading hangs (a disk on the network) no other one is begun."""

    def __init__(self, path: Path, deadline: Seconds) -> None:
        self._path, self._deadline = path, deadline
        self._reading: asyncio.Task[Text] | None = None

    async def read(self) -> Text:
        if self._reading is None:
            self._reading = asyncio.create_task(in_thread(_read_file, self._path), name=f"reading {self._path}")
        elif self._reading.done():  # what comes late is not believed
            self._reading.cancelled() or self._reading.exception()
            self._reading = None
            return await self.read()
        await asyncio.wait({self._reading}, timeout=self._deadline)
        if not self._reading.done():
            raise Timeout(f"{self._path} cannot be read within {self._deadline:g} s; does its disk hang?")
        reading, self._reading = self._reading, None
        return await _in_time(_outcome(reading), self._deadline, str(self._path))


async def _outcome(reading: asyncio.Task[Text]) -> Text:
    return reading.result()


def decoded(content: bytes) -> str:
    """Text of the encodings that such files have; what does not fit becomes U+FFFD. Raises `LimitExceeded`."""
    if len(content) > LONGEST:
        raise LimitExceeded(f"it has more than {LONGEST} bytes; is it the right one?")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    return content.decode("utf-8-sig", errors="replace")


def _read_file(path: Path) -> Text:
    # Not to hang where a pipe has nobody at its other end, or a device never ends.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise DeviceError(f"{path} is no ordinary file", device=str(path))
        return Text(decoded(file.read(LONGEST + 1)), clock.real_time() - status.st_mtime)


async def _fetch(url: str) -> Text:
    import aiohttp

    connector = aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())
    headers = {"Accept-Encoding": "identity", "Cache-Control": "no-cache"}
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False, headers=headers
    ) as session:
        try:
            async with session.get(url, max_redirects=_REDIRECTS) as response:
                if response.status != 200:
                    raise ConnectionLost(f"{url} answers with status {response.status}")
                return Text(decoded(await _bounded(response.content)), _age_of(response))
        except aiohttp.ClientError as error:
            raise ConnectionLost(f"{url} cannot be read: {error}") from error


async def _bounded(stream: aiohttp.StreamReader | asyncio.StreamReader) -> bytes:
    content = bytearray()
    while len(content) <= LONGEST and (chunk := await stream.read(LONGEST)):
        content += chunk
    return bytes(content)


def _age_of(response: aiohttp.ClientResponse) -> Seconds | None:
    """Age by the server's own clock (RFC 9110, sections 6.6.1 and 8.8.2), so that ours need not agree with it."""
    modified, now = (_http_date(response.headers.get(name)) for name in ("Last-Modified", "Date"))
    if modified is None:
        return None
    in_caches = response.headers.get("Age", "0")
    cached = float(in_caches) if in_caches.isascii() and in_caches.isdigit() and len(in_caches) < 10 else 0.0
    return (clock.real_time() if now is None else now) - modified + cached


def _http_date(value: str | None) -> float | None:
    if value is None:
        return None
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError, OSError, TypeError):
        return None


async def _run(command: tuple[str, ...]) -> Text:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        text = decoded(await _bounded(process.stdout))
        status = await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())
    if status != 0:
        raise DeviceError(f"{command[0]} ended with status {status}", device=command[0])
    return Text(text, None)
