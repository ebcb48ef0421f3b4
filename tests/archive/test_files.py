from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from pytel.archive.files import ImageDirectory, StoredImage
from pytel.base import clock
from pytel.base.errors import ChecksumError, Conflict, InvalidParams, NotFound, StorageFull


class SetClock(clock.Clock):
    """A clock that stands until it is moved."""

    seconds = 1.8e9

    def time(self) -> float:
        return self.seconds


@pytest.fixture
def store(tmp_path: Path) -> ImageDirectory:
    return ImageDirectory(tmp_path / "store", 1000).open()


def upload(store: ImageDirectory, name: str, content: bytes) -> tuple[str, str, int]:
    (store.incoming / name).write_bytes(content)
    return name, hashlib.sha256(content).hexdigest(), len(content)


def put(store: ImageDirectory, name: str, content: bytes) -> StoredImage:
    return store.commit(*upload(store, name, content))


def reopened(store: ImageDirectory) -> ImageDirectory:
    return ImageDirectory(store.path, store.capacity).open()


def test_an_upload_becomes_an_image(store: ImageDirectory) -> None:
    image = put(store, "a", b"pixels")
    assert image.path == store.path / f"{image.id}.fits"
    assert image.path.read_bytes() == b"pixels"
    assert store.get(image.id) == image
    assert store.list() == [image]
    assert store.used == 6
    assert os.listdir(store.incoming) == []


def test_the_same_upload_twice_is_one_image_also_after_reopening(store: ImageDirectory) -> None:
    call = upload(store, "a", b"pixels")
    image = store.commit(*call)
    assert store.commit(*call) == image
    (store.incoming / "a").write_bytes(b"pixels")
    assert reopened(store).commit(*call) == image
    assert len(reopened(store).list()) == 1


def test_the_nonce_stays(store: ImageDirectory) -> None:
    assert (store.path / "nonce").read_text() == store.nonce
    assert reopened(store).nonce == store.nonce


@pytest.mark.parametrize("name", ["", "..", "../a", "/etc/passwd", "a/b", ".hidden", "a" * 200, "a\0"])
def test_names_that_lead_elsewhere_are_refused(store: ImageDirectory, name: str) -> None:
    with pytest.raises(InvalidParams):
        store.commit(name, "0" * 64, 1)


def test_links_and_directories_are_no_uploads(store: ImageDirectory, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"x")
    (store.incoming / "link").symlink_to(secret)
    (store.incoming / "folder").mkdir()
    for name in ("link", "folder", "missing"):
        with pytest.raises(NotFound):
            store.commit(name, hashlib.sha256(b"x").hexdigest(), 1)


def test_bytes_that_were_not_announced_are_refused_and_may_be_written_again(store: ImageDirectory) -> None:
    name, sha256, size = upload(store, "a", b"pixels")
    with pytest.raises(ChecksumError):
        store.commit(name, sha256, size + 1)
    with pytest.raises(ChecksumError):
        store.commit(name, "0" * 64, size)
    assert store.list() == []
    assert store.commit(name, sha256, size).size == size


def test_another_content_under_an_old_name_is_a_conflict(store: ImageDirectory) -> None:
    put(store, "a", b"pixels")
    with pytest.raises(Conflict):
        store.commit("a", "0" * 64, 6)


def test_only_released_images_make_room_oldest_first(store: ImageDirectory) -> None:
    first, second, third = (put(store, name, name.encode() * 300) for name in "abc")
    call = upload(store, "d", b"d" * 200)
    with pytest.raises(StorageFull, match="not archived"):
        store.commit(*call)
    assert [image.id for image in store.list()] == [first.id, second.id, third.id]
    store.release(second.id)
    store.release(third.id)
    fourth = store.commit(*call)
    assert [image.id for image in store.list()] == [first.id, third.id, fourth.id]
    assert not second.path.exists()


def test_nothing_is_evicted_for_what_does_not_fit_anyway(store: ImageDirectory) -> None:
    first, second = (put(store, name, name.encode() * 400) for name in "ab")
    store.release(first.id)
    with pytest.raises(StorageFull):
        put(store, "c", b"c" * 700)
    assert first.path.exists()
    assert second.path.exists()


def test_release_is_remembered_and_may_be_repeated(store: ImageDirectory) -> None:
    image = put(store, "a", b"pixels")
    store.release(image.id)
    store.release(image.id)
    assert reopened(store).get(image.id).released
    with pytest.raises(NotFound):
        store.release("../nonce")


def test_a_full_disk_loses_nothing(store: ImageDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    image = put(store, "a", b"pixels")
    call = upload(store, "b", b"more")
    sync = os.fsync

    def fail(descriptor: int) -> None:
        if "journal" in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(StorageFull, match="journal"):
        store.commit(*call)
    assert reopened(store).list() == [image]
    monkeypatch.undo()
    assert len({image.id, store.commit(*call).id}) == 2


def test_uploads_left_over_go_after_an_hour_of_site_time(tmp_path: Path) -> None:
    site = SetClock()
    with clock.using(site):
        store = ImageDirectory(tmp_path, 1000).open()
        call = upload(store, "a", b"pixels")
        store = reopened(store)
        site.seconds += 3000
        (store.incoming / "b").write_bytes(b"later")
        store = reopened(store)
        assert sorted(os.listdir(store.incoming)) == ["a", "b"]
        site.seconds += 700
        store = reopened(store)
        assert os.listdir(store.incoming) == ["b"]
        with pytest.raises(NotFound):
            store.commit(*call)


def test_a_torn_or_lost_journal_loses_no_image(store: ImageDirectory) -> None:
    images = [put(store, name, name.encode()) for name in "ab"]
    journal = store.path / "journal.jsonl"
    with journal.open("ab") as file:
        file.write(b'{"commit": "01')
    store = reopened(store)
    assert store.list() == images
    images.append(put(store, "c", b"c"))
    assert reopened(store).list() == images
    # Without a journal ids tell the order: to the millisecond.
    journal.write_bytes(b"\xff\0 nonsense\n[1]\n{}\n")
    assert sorted(reopened(store).list()) == sorted(images)
    journal.unlink()
    assert sorted(reopened(store).list()) == sorted(images)


def test_the_journal_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytel.archive.files._JOURNAL_SLACK", 10)
    store = ImageDirectory(tmp_path, 3).open()
    for number in range(60):
        store.release(put(store, f"u{number}", b"x").id)
    assert len((tmp_path / "journal.jsonl").read_text().split()) < 80
    assert len(reopened(store).list()) == 3


class StoreMachine(RuleBasedStateMachine):
    """The store against a list of what must be there."""

    calls = Bundle("calls")
    images = Bundle("images")

    @initialize()
    def make(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pytel-store-"))
        self.store = ImageDirectory(self.folder, 100).open()
        self.kept: dict[str, bytes] = {}
        self.released: set[str] = set()
        self.number = 0

    @rule(target=calls, size=st.integers(1, 60))
    def write(self, size: int) -> tuple[str, bytes]:
        self.number += 1
        content = f"{self.number:03d}".encode() * size
        upload(self.store, f"u{self.number}", content[:size])
        return f"u{self.number}", content[:size]

    @rule(target=images, call=consumes(calls))
    def commit(self, call: tuple[str, bytes]) -> object:
        name, content = call
        unreleased = sum(len(kept) for image, kept in self.kept.items() if image not in self.released)
        try:
            image = self.store.commit(name, hashlib.sha256(content).hexdigest(), len(content))
        except StorageFull:
            assert unreleased + len(content) > 100
            return multiple()
        assert image == self.store.commit(name, hashlib.sha256(content).hexdigest(), len(content))
        left = {entry.id for entry in self.store.list()}
        gone = self.kept.keys() - left
        assert gone <= self.released
        order = [image for image in self.kept if image in self.released]
        assert set(order[: len(gone)]) == gone
        for lost in gone:
            del self.kept[lost]
        self.kept[image.id] = content
        return image.id

    @rule(image=images)
    def release(self, image: str) -> None:
        if image in self.kept:
            self.store.release(image)
            self.released.add(image)
        else:
            with pytest.raises(NotFound):
                self.store.release(image)

    @rule()
    def reopen(self) -> None:
        nonce = self.store.nonce
        self.store = reopened(self.store)
        assert self.store.nonce == nonce

    @rule(cut=st.integers(1, 30))
    def tear(self, cut: int) -> None:
        """A crash in the middle of a line that was being added."""
        with (self.folder / "journal.jsonl").open("ab") as file:
            file.write(b'\n{"release": "01ABCDEFGHJKMNPQRSTVWXYZ00"}'[:cut])
        self.reopen()

    @invariant()
    def as_expected(self) -> None:
        listed = self.store.list()
        assert {image.id: image.path.read_bytes() for image in listed} == self.kept
        assert {image.id for image in listed if image.released} == self.released & self.kept.keys()
        assert self.store.used <= 100

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


StoreMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestStoreMachine = StoreMachine.TestCase

WRITER = """
import hashlib, sys
from pathlib import Path
from pytel.archive.files import ImageDirectory
store = ImageDirectory(Path(sys.argv[1]), 10**9).open()
start = int(sys.argv[2])
for number in range(start, start + 100_000):
    content = b"%d" % number
    (store.incoming / f"u{number}").write_bytes(content)
    image = store.commit(f"u{number}", hashlib.sha256(content).hexdigest(), len(content))
    print(image.id, number, flush=True)
    if number % 3 == 0:
        store.release(image.id)
        print("released", image.id, flush=True)
"""


def test_kill_at_any_point_loses_no_committed_image(tmp_path: Path) -> None:
    told: dict[str, bytes] = {}
    released: set[str] = set()
    for turn in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(turn * 1_000_000)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(5 + 7 * turn)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
        writer.wait()
        writer.stdout.close()
        for line in lines:
            first, second = line.split()
            if first == "released":
                released.add(second)
            else:
                told[first] = second.encode()
        store = ImageDirectory(tmp_path, 10**9).open()
        there = {image.id: image.path.read_bytes() for image in store.list()}
        assert told.items() <= there.items()
        assert len(set(there.values())) == len(there)
        assert released <= {image.id for image in store.list() if image.released}
