"""SHA-256 of files, and as it is written in HTTP header fields."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from pytel.base.errors import InvalidParams

_CHUNK = 2**20
_RFC9530 = re.compile(r"(?:^|,)\s*sha-256\s*=\s*:([A-Za-z0-9+/=]{1,100}):", re.IGNORECASE)
_RFC3230 = re.compile(r"(?:^|,)\s*sha-256\s*=\s*([A-Za-z0-9+/=]{1,100})\s*(?:,|$)", re.IGNORECASE)
_FIELDS = {"content-digest": _RFC9530, "repr-digest": _RFC9530, "digest": _RFC3230}


def sha256_of_file(path: Path) -> str:
    """SHA-256 (hex) of a file, read in pieces; blocking. Raises `OSError`."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def digest_fields(sha256: str) -> dict[str, str]:
    """Header fields that tell the SHA-256 (hex) of a representation: RFC 9530, and RFC 3230 for older clients."""
    text = base64.b64encode(bytes.fromhex(sha256)).decode()
    return {"repr-digest": f"sha-256=:{text}:", "digest": f"sha-256={text}"}


def announced_sha256(fields: Mapping[str, str]) -> str | None:
    """The SHA-256 (hex) that `Content-Digest`, `Repr-Digest` or `Digest` announce; None when they tell none.

    Other algorithms are passed over. Raises `InvalidParams` for a sha-256 that is none and for two that differ.
    """
    found = {_decoded(field, match) for field, form in _FIELDS.items() for match in form.findall(fields.get(field, ""))}
    if len(found) > 1:
        raise InvalidParams("the digest fields contradict each other")
    return found.pop() if found else None


def _decoded(field: str, text: str) -> str:
    try:
        value = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise InvalidParams(f"{field} has a sha-256 that is no base64") from error
    if len(value) != hashlib.sha256().digest_size:
        raise InvalidParams(f"{field} has a sha-256 of {len(value)} bytes; it has 32")
    return value.hex()
