"""SHA-256 in header fields."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytel.base.digests import announced_sha256, digest_fields, sha256_of_file
from pytel.base.errors import InvalidParams


@given(st.binary(max_size=100))
@settings(deadline=None)
def test_what_is_written_is_read(content: bytes) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    fields = digest_fields(sha256)
    assert announced_sha256(fields) == sha256
    for name, value in fields.items():
        assert announced_sha256({name: value}) == sha256


def test_other_algorithms_are_passed_over() -> None:
    sha256 = hashlib.sha256(b"x").hexdigest()
    text = base64.b64encode(bytes.fromhex(sha256)).decode()
    assert announced_sha256({"content-digest": f"sha-512=:AAAA:, sha-256=:{text}:"}) == sha256
    assert announced_sha256({"digest": f"md5=AAAA,SHA-256={text}"}) == sha256
    assert announced_sha256({"digest": "md5=AAAA"}) is None
    assert announced_sha256({}) is None


def test_nonsense_and_contradictions_are_refused() -> None:
    good = digest_fields(hashlib.sha256(b"x").hexdigest())
    other = digest_fields(hashlib.sha256(b"y").hexdigest())
    with pytest.raises(InvalidParams, match="contradict"):
        announced_sha256({"digest": good["digest"], "repr-digest": other["repr-digest"]})
    with pytest.raises(InvalidParams, match="base64"):
        announced_sha256({"content-digest": "sha-256=:A=A:"})
    with pytest.raises(InvalidParams, match="bytes"):
        announced_sha256({"content-digest": "sha-256=:AAAA:"})


@given(st.text(max_size=200))
@settings(deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    for name in ("digest", "content-digest", "repr-digest"):
        try:
            found = announced_sha256({name: text})
        except InvalidParams:
            continue
        assert found is None or len(found) == 64


def test_a_file_is_hashed_whole(tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000
    (tmp_path / "a").write_bytes(content)
    assert sha256_of_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()
