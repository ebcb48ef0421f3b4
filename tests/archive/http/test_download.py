"""Images by id: whole, in ranges, conditionally, and only for those who may."""

from __future__ import annotations

import base64

import pytest

from image_store_kit import Served, frame_bytes, sha256
from pytel.base.digests import announced_sha256
from pytel.base.threads import in_thread

CONTENT = frame_bytes()


async def test_the_whole_image(served: Served) -> None:
    image = await served.put_image(CONTENT)
    answer = await served.ask("GET", f"/images/{image}")
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["content-type"] == "application/fits"
    assert answer.headers["etag"] == f'"{sha256(CONTENT)}"'
    assert announced_sha256(answer.headers) == sha256(CONTENT)
    assert answer.headers["accept-ranges"] == "bytes"
    assert "content-encoding" not in answer.headers
    head = await served.ask("HEAD", f"/images/{image}")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(CONTENT))


async def test_large_images_come_whole(served: Served) -> None:
    content = await in_thread(frame_bytes, shape=(1500, 1500))
    image = await served.put_image(content)
    assert (await served.ask("GET", f"/images/{image}")).body == content


@pytest.mark.parametrize(
    ("field", "start", "end"),
    [("bytes=0-99", 0, 100), ("bytes=100-", 100, None), ("bytes=-7", -7, None), ("bytes=2880-2880", 2880, 2881)],
)
async def test_ranges(served: Served, field: str, start: int, end: int | None) -> None:
    image = await served.put_image(CONTENT)
    answer = await served.ask("GET", f"/images/{image}", Range=field)
    assert (answer.status, answer.body) == (206, CONTENT[start:end])
    first = start if start >= 0 else len(CONTENT) + start
    last = first + len(answer.body) - 1
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(CONTENT)}"


async def test_ranges_that_cannot_be_had(served: Served) -> None:
    image = await served.put_image(CONTENT)
    for field in (f"bytes={len(CONTENT)}-", "bytes=0-1,5-6"):
        answer = await served.ask("GET", f"/images/{image}", Range=field)
        assert (answer.status, answer.error) == (416, "UnsatisfiableRange")
        assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"
    assert (await served.ask("GET", f"/images/{image}", Range="lines=1-2")).body == CONTENT


async def test_a_range_of_another_image_gives_the_whole(served: Served) -> None:
    image = await served.put_image(CONTENT)
    same = await served.ask("GET", f"/images/{image}", Range="bytes=5-9", If_Range=f'"{sha256(CONTENT)}"')
    assert (same.status, same.body) == (206, CONTENT[5:10])
    for condition in ('"other"', f'W/"{sha256(CONTENT)}"', "Sun, 22 Nov 2026 20:00:00 GMT"):
        other = await served.ask("GET", f"/images/{image}", Range="bytes=5-9", If_Range=condition)
        assert (other.status, other.body) == (200, CONTENT)


async def test_what_is_known_is_not_sent_again(served: Served) -> None:
    image = await served.put_image(CONTENT)
    for path in ("", "/header", "/preview.webp", "/pixels?bin=2"):
        tag = (await served.ask("GET", f"/images/{image}{path}")).headers["etag"]
        answer = await served.ask("GET", f"/images/{image}{path}", If_None_Match=f'"x", W/{tag}')
        assert (answer.status, answer.body) == (304, b"")
    assert (await served.ask("GET", f"/images/{image}", If_Match='"x"')).status == 412


async def test_who_has_no_token_gets_nothing(served: Served) -> None:
    image = await served.put_image(CONTENT)
    token = served.server.token
    for path in (f"/images/{image}", f"/images/{image}/header", f"/images/{image}/pixels"):
        for wrong in ("", "x", token[:-1], token + "x"):
            answer = await served.ask("GET", path, token=wrong)
            assert (answer.status, answer.error) == (401, "Unauthenticated")
            assert "Basic" in answer.headers["www-authenticate"]
    basic = base64.b64encode(f"anybody:{token}".encode()).decode()
    assert (await served.ask("GET", f"/images/{image}", Authorization=f"Basic {basic}")).body == CONTENT
    for field in ("Basic !!!", "Basic", "Bearer", "Basic w6TDtsO8", "Digest x", "Bearer \xe4"):
        assert (await served.ask("GET", f"/images/{image}", Authorization=field)).status == 401


async def test_an_image_that_was_evicted_while_it_is_read_comes_whole(served: Served) -> None:
    content = await in_thread(frame_bytes, shape=(4000, 1000))
    image = await served.put_image(content)
    stored = served.files.get(image)
    answer = await served.ask("GET", f"/images/{image}")
    stored.path.unlink()
    assert answer.body == content
    assert (await served.ask("GET", f"/images/{image}")).error == "NotFound"


async def test_a_file_of_another_length_is_told(served: Served) -> None:
    image = await served.put_image(CONTENT)
    stored = served.files.get(image)
    stored.path.write_bytes(CONTENT[:-1])
    answer = await served.ask("GET", f"/images/{image}")
    assert answer.error == "ChecksumError"


async def test_what_there_is_not(served: Served) -> None:
    for path in ("/", "/images", "/images/", "/images/x/y", "/images/0", "/images/" + "0" * 26, "/favicon.ico"):
        answer = await served.ask("GET", path)
        assert answer.status in (404, 405, 307), path
        assert b"Traceback" not in answer.body
    assert (await served.ask("DELETE", f"/images/{'0' * 26}")).status == 405
    assert set((await served.ask("DELETE", f"/images/{'0' * 26}")).headers["allow"].split(", ")) == {
        "GET",
        "HEAD",
        "PUT",
    }
