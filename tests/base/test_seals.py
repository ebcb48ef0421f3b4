"""Files that show that nobody has written to them since they were hashed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from image_store_kit import sha256
from pytel.base import clock
from pytel.base.seals import FRESH, is_sealed, prove, seal

CONTENT = b"some pixels" * 1000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def test_a_file_is_sealed_for_its_own_hash_alone(file: Path) -> None:
    assert not is_sealed(file, sha256(CONTENT))
    seal(file, sha256(CONTENT))
    assert is_sealed(file, sha256(CONTENT))
    assert not is_sealed(file, sha256(b"other"))


def test_another_name_keeps_it_and_a_byte_breaks_it(file: Path) -> None:
    seal(file, sha256(CONTENT))
    other = file.rename(file.with_name("other"))
    os.link(other, file)
    assert is_sealed(file, sha256(CONTENT))
    with other.open("r+b") as writer:
        writer.write(b"S")
    assert not is_sealed(file, sha256(CONTENT))


def test_it_counts_for_a_while(file: Path) -> None:
    seal(file, sha256(CONTENT))
    with clock.using(clock.ScaledClock(clock.time(), clock.time(), 1.0)):
        assert is_sealed(file, sha256(CONTENT))
    old = file.stat().st_mtime_ns - int(FRESH + 5) * 10**9
    os.utime(file, ns=(old, old))
    assert not is_sealed(file, sha256(CONTENT))


def test_proving_seals_what_is_right_and_nothing_else(file: Path) -> None:
    assert not prove(file, sha256(b"other"))
    assert not is_sealed(file, sha256(b"other"))
    assert prove(file, sha256(CONTENT))
    assert is_sealed(file, sha256(CONTENT))
    with pytest.raises(FileNotFoundError):
        prove(file.with_name("none"), sha256(CONTENT))
