"""Images as clients get them are those of the store, pixel for pixel."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from gateway.alpaca.kit import AlpacaSite
from gateway.kit import until_so
from pytel.interfaces.images import NewImage

BYTES = {"Accept": "application/imagebytes, application/json"}


async def exposed(site: AlpacaSite, **settings: int) -> NDArray[np.uint16]:
    """Expose through Alpaca; gives the pixels that the store has, rows from the bottom."""
    await site.connect("camera")
    for name, value in settings.items():
        assert (await site.put(f"camera/0/{name.lower()}", **{name: value})).error == 0
    assert (await site.put("camera/0/startexposure", Duration="3", Light="True")).error == 0

    async def is_ready() -> bool:
        return (await site.get("camera/0/imageready")).value is True

    await until_so(is_ready, 30.0)
    ref = site.observatory.heard(NewImage)[-1].image
    pixels: NDArray[np.uint16] = (await site.gateway.images.get(ref)).pixels
    return pixels


async def test_imagebytes_are_the_frame_bit_by_bit(site: AlpacaSite) -> None:
    pixels = await exposed(site)
    answer = await site.ask(
        "GET",
        "/api/v1/camera/0/imagearray",
        params={"ClientID": 1, "ClientTransactionID": 4294967295},
        headers=BYTES,
    )
    assert (answer.status, answer.kind) == (200, "application/imagebytes")
    head = struct.unpack("<iiIIiiiiiii", answer.body[:44])
    height, width = pixels.shape
    assert head[:3] == (1, 0, 4294967295)
    assert head[4:] == (44, 2, 8, 2, width, height, 0)
    sent = np.frombuffer(answer.body[44:], "<u2").reshape(width, height)
    assert sent.size == width * height
    assert np.array_equal(sent.T[::-1], pixels)


async def test_a_window_of_binned_pixels_from_the_top(site: AlpacaSite) -> None:
    pixels = await exposed(site, BinX=2, NumX=40, NumY=30, StartX=5, StartY=7)
    assert pixels.shape == (30, 40)
    header = (await site.gateway.images.get(site.observatory.heard(NewImage)[-1].image)).header
    assert header["XBINNING"] == 2
    answer = (await site.get("camera/0/imagearray")).json
    assert (answer["Type"], answer["Rank"]) == (2, 2)
    assert list(answer).index("Type") < list(answer).index("Value")
    assert np.array_equal(np.array(answer["Value"]).T[::-1], pixels)
    assert (await site.get("camera/0/imagearrayvariant")).json["Value"] == answer["Value"]
    assert (await site.get("camera/0/lastexposureduration")).value == 3.0


async def test_that_there_is_no_image_is_told_in_json(site: AlpacaSite) -> None:
    """ASCOM's client for Python cannot read an error in ImageBytes; JSON all of them can."""
    await site.connect("camera")
    answer = await site.ask("GET", "/api/v1/camera/0/imagearray", params={"ClientID": 1}, headers=BYTES)
    assert answer.kind == "application/json"
    assert answer.error == 0x40B
    assert "has no image" in answer.json["ErrorMessage"]
