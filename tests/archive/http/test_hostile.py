"""Requests that mean harm: refused, in bounded time, without a word about the inside."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from image_store_kit import Served, frame_bytes, serving, until
from pytel.archive.http import server
from pytel.base.threads import in_thread

CONTENT = frame_bytes()
INSIDE = (b"Traceback", b"site-packages", b".py", b"/tmp/", b"Error:")


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


@pytest.mark.parametrize(
    "path",
    [
        "/images/../nonce",
        "/images/..%2fnonce",
        "/images/%2e%2e/nonce",
        "/images/....//nonce",
        "/images/nonce",
        "/images/journal.jsonl",
        "/images/%00",
        "/images/" + "A" * 30000,
        "/images/01ARZ3NDEKTSV4RRFFQ69G5FAV.fits",
        "/images/01arz3ndektsv4rrffq69g5fav",
        "/images/incoming/../../nonce",
        "//etc/passwd",
        "/images/%c0%ae%c0%ae%2f",
    ],
)
async def test_no_path_leads_out_of_the_store(served: Served, path: str) -> None:
    head = f"Host: x\r\nAuthorization: Bearer {served.server.token}\r\nConnection: close\r\n"
    for method in ("GET", "PUT"):
        answer = await served.raw(f"{method} {path} HTTP/1.1\r\n{head}Content-Length: 0\r\n\r\n".encode())
        assert status_of(answer) in (307, 400, 404, 405), answer
        assert served.files.nonce.encode() not in answer
        assert not any(word in answer for word in INSIDE)


async def test_headers_cannot_be_smuggled_into_answers(served: Served) -> None:
    image = await served.put_image(CONTENT)
    for text in ("x\r\nSet-Cookie: a=b", "x%0d%0aSet-Cookie:%20a=b", "\u010d\u010a"):
        answer = await served.ask("GET", f"/images/{quote(text)}")
        assert "set-cookie" not in answer.headers
        answer = await served.ask("GET", f"/images/{image}/preview.webp?stretch={quote(text)}")
        assert "set-cookie" not in answer.headers
    lines = (
        f"GET /images/{image} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {served.server.token}\r\nConnection: close"
    )
    raw = await served.raw(f'{lines}\r\nRange: bytes=0-1\n X: y\r\nIf-None-Match: "\x01"\r\n\r\n'.encode())
    assert status_of(raw) in (0, 200, 206, 400)


async def test_two_lengths_and_smuggled_requests_are_refused(served: Served) -> None:
    head = f"POST /images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {served.server.token}\r\n"
    for fields in (
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
    ):
        answer = await served.raw(f"{head}{fields}\r\nhello".encode())
        assert status_of(answer) in (0, 400, 413, 422)
        assert served.files.list() == []


async def test_a_header_without_end_is_cut_off(served: Served) -> None:
    answer = await served.raw(b"GET /images HTTP/1.1\r\n" + b"X: " + b"y" * 200_000)
    assert status_of(answer) in (0, 400, 431)
    assert (await served.ask("GET", "/images/x")).status == 404


async def test_many_uploads_at_once_are_bounded(served: Served) -> None:
    head = f"POST /images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {served.server.token}\r\n"
    writers = []
    for _ in range(8):
        _, writer = await asyncio.open_connection(served.host, served.port)
        writer.write(f"{head}Content-Length: 1000000\r\n\r\nbegun".encode())
        writers.append(writer)
    await until(lambda: len(served.parts()) == 8)
    answer = await served.ask("POST", "/images", CONTENT)
    assert (answer.status, answer.error) == (503, "Busy")
    assert answer.headers["retry-after"] == "1"
    image = writers.pop()
    image.transport.abort()
    async with asyncio.timeout(30):
        while (await served.ask("POST", "/images", CONTENT)).status == 503:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)
    for writer in writers:
        writer.transport.abort()
    await until(lambda: not served.parts())


METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"])
NAMES = st.sampled_from(
    [
        *("Range", "If-Range", "If-None-Match", "If-Match", "Content-Digest", "Digest", "Call-Id", "Accept-Encoding"),
        *("Content-Length", "Transfer-Encoding", "Expect", "Content-Encoding", "Authorization", "Connection"),
    ]
)
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)
TAILS = st.sampled_from(["", "/header", "/preview.webp", "/preview.jpg", "/pixels", "/x"])
QUERIES = st.one_of(
    st.just(""),
    st.dictionaries(st.sampled_from(["bin", "x", "y", "w", "h", "size", "stretch", "q"]), TEXT, max_size=4).map(
        lambda query: "?" + "&".join(f"{name}={quote(value)}" for name, value in query.items())
    ),
)


@given(
    method=METHODS,
    tail=TAILS,
    query=QUERIES,
    fields=st.lists(st.tuples(NAMES, TEXT), max_size=4),
    body=st.binary(max_size=50),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_request_is_answered_with_a_fault(
    tmp_path: Path, method: str, tail: str, query: str, fields: list[tuple[str, str]], body: bytes
) -> None:
    async def main() -> None:
        async with serving(tmp_path / "store", patience=0.2) as served:
            images = served.files.list()
            image = images[0].id if images else await served.put_image(CONTENT)
            token = "" if any(name == "Authorization" for name, _ in fields) else served.server.token
            lines = [f"{method} /images/{image}{tail}{query} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}"]
            lines += [f"{name}: {value}" for name, value in fields] + ["Connection: close", "", ""]
            answer = await served.raw("\r\n".join(lines).encode("latin-1") + body)
            assert status_of(answer) != 500, answer
            assert not any(word in answer[:2000] for word in INSIDE), answer
            still = await served.ask("GET", f"/images/{image}", Range="bytes=0-5")
            assert (still.status, still.body) == (206, CONTENT[:6])

    asyncio.run(main())


async def test_a_client_that_does_not_read_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytel.archive.http.download.STALLED_AFTER", 0.3)
    content = await in_thread(bytes, 2**25)
    image = await served.put_image(content)
    reader, writer = await asyncio.open_connection(served.host, served.port, limit=2**10)
    lines = f"GET /images/{image} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {served.server.token}\r\n\r\n"
    writer.write(lines.encode())
    await until(lambda: reader._buffer)  # type: ignore[attr-defined]
    listener = served.server._listener
    assert listener is not None
    await until(lambda: not listener._state.connections)
    came = 0
    with contextlib.suppress(ConnectionError):
        while chunk := await reader.read(2**20):
            came += len(chunk)
    assert 0 < came < len(content)
    writer.close()


async def test_one_address_takes_no_places_from_others(served: Served) -> None:
    opened = [
        await asyncio.open_connection(served.host, served.port, local_addr=("127.0.0.2", 0))
        for _ in range(server.OF_ONE_ADDRESS)
    ]
    reader, writer = await asyncio.open_connection(served.host, served.port, local_addr=("127.0.0.2", 0))
    writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(30):
        assert status_of(await reader.read()) == 429
    await served.put_image()
    for _, other in [*opened, (reader, writer)]:
        other.close()
