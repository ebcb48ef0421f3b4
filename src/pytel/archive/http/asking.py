"""What a client may ask of an image's pixels and preview: query parameters, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, TypeVar

from pytel.archive.http.rendering import Rendered
from pytel.base.errors import InvalidParams, NotFound
from pytel.imaging.pixels import BLANK, PREDICTOR, Cutout, compress, encode, read_pixels
from pytel.imaging.preview import LARGEST, SMALLEST, Picture, Stretch, render_preview

E = TypeVar("E", bound=StrEnum)
CODINGS = ("zstd", "gzip")
_BINS = (1, 2, 4, 8)
_MEDIA_TYPES = {Picture.WEBP: "image/webp", Picture.JPEG: "image/jpeg"}


class PreviewWish(NamedTuple):
    """How a preview is to be drawn."""

    size: int
    stretch: Stretch
    picture: Picture


def wanted_preview(picture: str, query: Mapping[str, str]) -> PreviewWish:
    """Read `size` (default 256) and `stretch` (default asinh). Raises `InvalidParams`, `NotFound`."""
    if picture not in tuple(Picture):
        raise NotFound(f"previews are {' or '.join(Picture)}")
    _only(query, "size", "stretch")
    size = _integer(query, "size", 256)
    if not SMALLEST <= size <= LARGEST:
        raise InvalidParams(f"size is {SMALLEST} to {LARGEST}")
    return PreviewWish(size, _choice(query, "stretch", Stretch.ASINH), Picture(picture))


def wanted_cutout(query: Mapping[str, str]) -> Cutout:
    """Read `bin` (1, 2, 4, 8) and `x`, `y`, `w`, `h` in unbinned pixels, from 0. Raises `InvalidParams`."""
    _only(query, "bin", "x", "y", "w", "h")
    factor = _integer(query, "bin", 1)
    if factor not in _BINS:
        raise InvalidParams("bin is 1, 2, 4 or 8")
    width, height = (_integer(query, name, None) for name in ("w", "h"))
    return Cutout(factor, _integer(query, "x", 0), _integer(query, "y", 0), width, height)


def make_preview(path: Path, wish: PreviewWish) -> Rendered:
    """Draw a preview; blocking."""
    picture = render_preview(path, wish.size, wish.stretch, wish.picture)
    return Rendered(picture, {"content-type": _MEDIA_TYPES[wish.picture]})


def make_pixels(path: Path, cutout: Cutout, coding: str) -> Rendered:
    """Read, code and compress pixels; blocking."""
    values, scale, zero, has_blank = read_pixels(path, cutout)
    fields = {
        "content-type": "application/octet-stream",
        "predictor": PREDICTOR,
        "height": str(values.shape[0]),
        "width": str(values.shape[1]),
        "bin": str(cutout.bin),
        "scale": repr(scale),
        "zero": repr(zero),
    }
    if has_blank:
        fields["blank"] = str(BLANK)
    if coding != "identity":
        fields["content-encoding"] = coding
    return Rendered(bytes(compress(encode(values), coding)), fields)


def _only(query: Mapping[str, str], *known: str) -> None:
    unknown = sorted(set(query) - set(known))
    if unknown:
        raise InvalidParams(f"there is no parameter {unknown[0][:40]!r}; there are {', '.join(known)}")


D = TypeVar("D", int, None)


def _integer(query: Mapping[str, str], name: str, default: D) -> int | D:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidParams(f"{name} is a whole number of at most nine digits")
    return int(text)


def _choice(query: Mapping[str, str], name: str, default: E) -> E:
    text = query.get(name)
    if text is None:
        return default
    if text not in tuple(type(default)):
        raise InvalidParams(f"{name} is {', '.join(type(default))}")
    return type(default)(text)
