"""Headers, previews and pixels over HTTP."""

from __future__ import annotations

import asyncio
import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from backports import zstd
from PIL import Image

from image_store_kit import Served, frame_bytes
from pytel.archive.http.rendering import Rendered, Renderer
from pytel.base.errors import Busy
from pytel.imaging.fits import parse_fits
from pytel.imaging.pixels import decode

CONTENT = frame_bytes(7, (64, 48))


async def test_the_header_has_all_cards_in_order(served: Served) -> None:
    image = await served.put_image(CONTENT)
    answer = await served.ask("GET", f"/images/{image}/header")
    assert answer.headers["content-type"] == "application/json"
    cards = answer.json
    assert cards[0] == ["SIMPLE", True, "FITS standard 4.0"]
    assert ["OBJECT", "M 8", "name of the object"] in cards
    assert ["NAXIS1", 48, "columns"] in cards
    assert (await served.ask("HEAD", f"/images/{image}/header")).body == b""


@pytest.mark.parametrize(("name", "kind"), [("webp", "WEBP"), ("jpg", "JPEG")])
async def test_previews(served: Served, name: str, kind: str) -> None:
    image = await served.put_image(CONTENT)
    answer = await served.ask("GET", f"/images/{image}/preview.{name}?size=32&stretch=linear")
    assert answer.status == 200
    with Image.open(io.BytesIO(answer.body)) as picture:
        assert (picture.format, max(picture.size)) == (kind, 32)
    assert answer.headers["cache-control"].endswith("immutable")


@pytest.mark.parametrize("coding", ["zstd", "gzip", "identity"])
async def test_pixels_as_they_are(served: Served, coding: str) -> None:
    image = await served.put_image(CONTENT)
    answer = await served.ask("GET", f"/images/{image}/pixels?x=3&y=5&w=20&h=10", Accept_Encoding=coding)
    assert answer.headers.get("content-encoding", "identity") == coding
    undo: Any = {"zstd": zstd.decompress, "gzip": gzip.decompress, "identity": bytes}[coding]
    assert (answer.headers["width"], answer.headers["height"]) == ("20", "10")
    assert (answer.headers["scale"], answer.headers["zero"]) == ("1.0", "0.0")
    assert answer.headers["predictor"] == "delta-planes"
    assert answer.headers["vary"] == "accept-encoding"
    values = decode(undo(answer.body), 20, 10)
    assert (values == parse_fits(CONTENT)[0][5:15, 3:23]).all()


async def test_binned_pixels_are_means(served: Served) -> None:
    image = await served.put_image(CONTENT)
    answer = await served.ask("GET", f"/images/{image}/pixels?bin=8", Accept_Encoding="identity")
    values = decode(answer.body, 6, 8)
    blocks = parse_fits(CONTENT)[0].reshape(8, 8, 6, 8).astype(float)
    assert np.abs(values - blocks.mean((1, 3))).max() <= 0.5


@pytest.mark.parametrize(
    "query",
    [
        "bin=3",
        "bin=0",
        "bin=-1",
        "bin=x",
        "x=48",
        "w=0",
        "w=49",
        "x=40&w=9",
        "h=99999999999999999999",
        "x=1.5",
        "x=%00",
        "y=%D9%A1",
        "bin=8&w=7",
        "colour=red",
    ],
)
async def test_pixels_that_there_are_not(served: Served, query: str) -> None:
    image = await served.put_image(CONTENT)
    answer = await served.ask("GET", f"/images/{image}/pixels?{query}")
    assert (answer.status, answer.error) == (400, "InvalidParams")


async def test_previews_that_there_are_not(served: Served) -> None:
    image = await served.put_image(CONTENT)
    for path, status in (("webp?size=5", 400), ("webp?size=9999", 400), ("webp?stretch=x", 400), ("gif", 404)):
        assert (await served.ask("GET", f"/images/{image}/preview.{path}")).status == status
    assert (await served.ask("GET", f"/images/{'0' * 26}/preview.webp")).status == 404


async def test_what_is_no_image_is_told(served: Served) -> None:
    image = await served.put_image(b"not FITS at all" * 1000)
    for path in ("header", "preview.webp", "pixels"):
        answer = await served.ask("GET", f"/images/{image}/{path}")
        assert (answer.status, answer.error) == (422, "ImageError")
        assert str(served.files.path) not in answer.body.decode()


async def test_a_damaged_file_is_told_and_not_shown(served: Served) -> None:
    image = await served.put_image(CONTENT)
    path = served.files.get(image).path
    damaged = bytearray(CONTENT)
    damaged[5000] ^= 1
    path.write_bytes(damaged)
    for what in ("header", "preview.webp", "pixels"):
        assert (await served.ask("GET", f"/images/{image}/{what}")).error == "ChecksumError"


async def test_one_thing_is_made_at_a_time_and_kept_while_there_is_room(served: Served) -> None:
    stored = served.files.get(await served.put_image(CONTENT))
    running = 0
    made: list[str] = []

    def maker(name: str, size: int) -> Callable[[Path], Rendered]:
        def make(path: Path) -> Rendered:
            nonlocal running
            running += 1
            assert running == 1
            made.append(name)
            running -= 1
            return Rendered(bytes(size), {})

        return make

    renderer = Renderer(room=1000)

    async def ask(name: str, size: int = 400) -> None:
        assert len((await renderer.render(stored, name, maker(name, size))).body) == size

    await asyncio.gather(*(ask("a") for _ in range(5)), *(ask("b") for _ in range(5)))
    assert sorted(made) == ["a", "b"]
    await ask("a")
    await ask("c")  # the one asked for longest ago goes
    await ask("a")
    assert sorted(made) == ["a", "b", "c"]
    await ask("b")
    assert sorted(made) == ["a", "b", "b", "c"]
    await ask("huge", 2000)
    await ask("huge", 2000)
    assert made.count("huge") == 2


async def test_too_many_at_once_are_told_to_come_back(served: Served) -> None:
    stored = served.files.get(await served.put_image(CONTENT))
    renderer = Renderer()

    async def ask(number: int) -> bool:
        try:
            await renderer.render(stored, str(number), lambda path: Rendered(b"x", {}))
        except Busy:
            return False
        return True

    answers = await asyncio.gather(*(ask(number) for number in range(100)))
    assert 0 < sum(answers) < 100
    assert await ask(1)
