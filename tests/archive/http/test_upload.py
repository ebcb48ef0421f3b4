"""Images that come over HTTP: whole and once, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import io
import select
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from image_store_kit import Served, frame_bytes, new_ulid, serving, sha256, until
from pytel.base.digests import digest_fields
from pytel.base.files import no_room_below
from pytel.base.threads import in_thread

CONTENT = frame_bytes()


def digests(content: bytes) -> dict[str, str]:
    return {name.replace("-", "_"): value for name, value in digest_fields(sha256(content)).items()}


async def test_an_image_gets_an_id(served: Served) -> None:
    answer = await served.ask("POST", "/images", CONTENT, **digests(CONTENT))
    assert answer.status == 201
    assert answer.json == {"id": answer.json["id"], "sha256": sha256(CONTENT), "size": len(CONTENT)}
    assert answer.headers["location"] == f"/images/{answer.json['id']}"
    stored = served.files.get(answer.json["id"])
    assert await in_thread(stored.path.read_bytes) == CONTENT
    assert served.parts() == []


async def test_a_body_of_unknown_length_is_taken(served: Served) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(CONTENT), 1000):
            yield CONTENT[start : start + 1000]

    answer = await served.ask("POST", "/images", pieces())
    assert (answer.status, answer.json["sha256"]) == (201, sha256(CONTENT))


async def test_the_same_call_twice_is_one_image(served: Served) -> None:
    call = new_ulid()
    first = await served.ask("POST", "/images", CONTENT, Call_Id=call)
    again = await served.ask("POST", "/images", CONTENT, Call_Id=call)
    assert (first.status, again.status) == (201, 201)
    assert first.json == again.json
    other = await served.ask("POST", "/images", CONTENT, Call_Id=new_ulid())
    assert other.json["id"] != first.json["id"]
    conflict = await served.ask("POST", "/images", frame_bytes(5), Call_Id=call)
    assert (conflict.status, conflict.error) == (409, "Conflict")
    assert len(served.files.list()) == 2
    assert served.parts() == []


async def test_the_same_call_many_times_at_once_is_one_image(served: Served) -> None:
    call = new_ulid()
    answers = await asyncio.gather(*(served.ask("POST", "/images", CONTENT, Call_Id=call) for _ in range(6)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert len(served.files.list()) == 1


async def test_put_under_an_id_of_ones_own(served: Served) -> None:
    image = new_ulid()
    first = await served.ask("PUT", f"/images/{image}", CONTENT)
    again = await served.ask("PUT", f"/images/{image}", CONTENT)
    assert (first.status, again.status) == (201, 200)
    assert first.json == again.json == {"id": image, "sha256": sha256(CONTENT), "size": len(CONTENT)}
    other = await served.ask("PUT", f"/images/{image}", frame_bytes(5))
    assert (other.status, other.error) == (409, "Conflict")
    assert (await served.ask("GET", f"/images/{image}")).body == CONTENT


async def test_changed_bytes_are_refused(served: Served) -> None:
    answer = await served.ask("POST", "/images", CONTENT, **digests(CONTENT + b"x"))
    assert (answer.status, answer.error) == (422, "ChecksumError")
    assert served.files.list() == []
    assert served.parts() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"Content_Digest": "sha-256=:AAAA:"},
        {"Digest": "sha-256=AAAA"},
        {"Call_Id": "1"},
        {"Call_Id": "../../../../etc/passwd0000"},
        {"Content_Encoding": "gzip"},
        {"Content_Range": "bytes 0-1/2"},
    ],
)
async def test_headers_that_make_no_sense_are_refused(served: Served, fields: dict[str, str]) -> None:
    answer = await served.ask("POST", "/images", CONTENT, **fields)
    assert (answer.status, answer.error) == (400, "InvalidParams")
    assert served.files.list() == []


async def test_an_empty_body_is_no_image(served: Served) -> None:
    assert (await served.ask("POST", "/images", b"")).status == 400


async def test_too_large_bodies_are_refused_with_and_without_a_length(tmp_path: Path) -> None:
    async with serving(tmp_path, largest=1000) as served:

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(400):
                yield bytes(1000)

        for body in (bytes(1001), endless()):
            answer = await served.ask("POST", "/images", body)
            assert (answer.status, answer.error) == (413, "TooLarge")
        assert served.parts() == []
        assert (await served.ask("POST", "/images", bytes(1000))).status == 201


async def test_a_full_store_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    async with serving(tmp_path, capacity=3 * len(CONTENT)) as served:
        images = [await served.put_image(frame_bytes(value)) for value in range(3)]
        for body in (CONTENT, io.BytesIO(CONTENT)):
            answer = await served.ask("POST", "/images", body)
            assert (answer.status, answer.error) == (507, "StorageFull")
            assert str(tmp_path) not in answer.body.decode()
        assert [image.id for image in served.files.list()] == images
        await in_thread(served.files.release, images[0])
        assert (await served.ask("POST", "/images", CONTENT)).status == 201
        assert (await served.ask("GET", f"/images/{images[0]}")).error == "NotFound"
        assert (await served.ask("GET", f"/images/{images[1]}")).body == frame_bytes(1)


async def test_a_full_disk_is_told_and_loses_nothing(served: Served) -> None:
    kept = await served.put_image(CONTENT)
    with no_room_below(served.files.path):
        answer = await served.ask("POST", "/images", frame_bytes(1))
        assert (answer.status, answer.error) == (507, "StorageFull")
        assert (await served.ask("GET", f"/images/{kept}")).body == CONTENT
    assert served.parts() == []
    assert (await served.ask("POST", "/images", frame_bytes(1))).status == 201


async def test_who_may_not_is_refused_before_anything_is_stored(served: Served) -> None:
    answer = await served.ask("POST", "/images", CONTENT, token="wrong")
    assert answer.status == 401
    assert served.files.list() == []
    assert served.parts() == []


async def test_a_line_that_breaks_leaves_nothing(served: Served) -> None:
    head = f"POST /images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {served.server.token}\r\n"
    _, writer = await asyncio.open_connection(served.host, served.port)
    writer.write(f"{head}Content-Length: {len(CONTENT)}\r\n\r\n".encode() + CONTENT[:-1])
    await writer.drain()
    await until(lambda: served.parts())
    writer.transport.abort()
    await until(lambda: not served.parts())
    assert served.files.list() == []


async def test_a_body_that_trickles_is_given_up(tmp_path: Path) -> None:
    def trickle() -> bytes:
        """A plain socket still gives the answer when a byte that was under way has met a closed door."""
        head = f"POST /images HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {served.server.token}\r\n"
        with socket.create_connection((served.host, served.port)) as upload:
            upload.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode())
            ends = time.monotonic() + 30
            while not select.select([upload], [], [], 0.05)[0]:
                assert time.monotonic() < ends
                with contextlib.suppress(ConnectionError):
                    upload.sendall(b"x")
            return upload.recv(4096)

    async with serving(tmp_path, patience=0.3) as served:
        answer = await in_thread(trickle)
        assert b"408" in answer.splitlines()[0]
        assert served.parts() == []


async def test_what_an_earlier_store_left_behind_is_removed(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        kept = await served.put_image()
    (tmp_path / "incoming" / "http-0.part").write_bytes(b"left")
    (tmp_path / "incoming" / "camera.part").write_bytes(b"a camera is writing")
    async with serving(tmp_path) as served:
        assert [path.name for path in served.parts()] == ["camera.part"]
        assert [image.id for image in served.files.list()] == [kept]
