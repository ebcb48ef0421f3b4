"""Where frames are computed makes no difference: inline, in processes that die, by Dask with a worker killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest
from astropy.io import fits

import reduction_kit
from image_store_kit import serving
from pytel.archive.reduction.combining import make_master
from pytel.archive.reduction.frame import reduce_frame
from pytel.archive.reduction.jobs import FrameJob, MasterJob, Product, ReductionSettings, Source
from pytel.archive.reduction.workers import DaskWorkers, InlineWorkers, ProcessWorkers, WorkerLost, Workers
from pytel.base.errors import ChecksumError, ConnectionLost, NotFound
from pytel.base.threads import in_thread
from pytel.interfaces.images import FrameType
from reduction_kit import SimulatedFrames, Truth, slowly

CREATED = datetime(2026, 11, 22, 20, tzinfo=UTC)
LATER = datetime(2026, 11, 23, 8, tzinfo=UTC)
FIELDS = [(83.8, 20.0), (200.0, 40.0), (280.0, -10.0), (12.0, -70.0), (150.0, 2.0), (320.0, 30.0)]


class Night:
    """Raw frames and masters in a directory."""

    def __init__(self, directory: Path, frames: int = 6) -> None:
        self.directory = directory
        simulated = SimulatedFrames(256)
        self.masters: dict[FrameType, Source] = {}
        for kind, seconds in ((FrameType.BIAS, 0.0), (FrameType.DARK, 60.0), (FrameType.FLAT, 5.0)):
            raws = [simulated.source(directory, kind, seconds) for _ in range(3)]
            path = directory / f"{kind.value}.fits"
            job = MasterJob(frame_type=kind, raws=raws, masters=dict(self.masters), created=CREATED, output=str(path))
            made = make_master(job)
            self.masters[kind] = Source(
                id=kind.value.upper().ljust(26, "0"), sha256=made.sha256, size=made.size, path=str(path)
            )
        self.raws = [
            simulated.source(directory, FrameType.OBJECT, 60.0, Truth(ra=ra, dec=dec)) for ra, dec in FIELDS[:frames]
        ]

    def jobs(self, created: datetime = CREATED, output: str | None = None) -> list[FrameJob]:
        return [
            FrameJob(
                raw=raw,
                masters=self.masters,
                settings=ReductionSettings(),
                created=created,
                invented=True,
                output=output and str(self.directory / f"{output}-{raw.id}.fits"),
            )
            for raw in self.raws
        ]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return Night(tmp_path_factory.mktemp("night"))


def serial(night: Night) -> list[bytes]:
    return [reduce_frame(job).content or b"" for job in night.jobs()]


async def all_of(workers: Workers, jobs: list[FrameJob]) -> list[bytes]:
    places = asyncio.Semaphore(workers.count)

    async def one(job: FrameJob) -> bytes:
        async with places:
            return (await workers.run(reduce_frame, job)).content or b""

    return list(await asyncio.gather(*map(one, jobs)))


def assert_same_but_date(path: Path, ours: bytes, theirs: bytes) -> None:
    (path / "a.fits").write_bytes(ours)
    (path / "b.fits").write_bytes(theirs)
    with fits.open(path / "a.fits", checksum=True) as a, fits.open(path / "b.fits", checksum=True) as b:
        for mine, other in zip(a, b, strict=True):
            assert mine.data.tobytes() == other.data.tobytes()
            cards = [(card.keyword, card.value) for card in mine.header.cards if card.keyword not in _OF_DATE]
            assert cards == [(card.keyword, card.value) for card in other.header.cards if card.keyword not in _OF_DATE]


_OF_DATE = {"DATE", "CHECKSUM"}


def test_the_same_job_gives_the_same_bytes_in_a_file_or_an_answer(night: Night) -> None:
    job = night.jobs()[0]
    path = night.directory / "file.fits"
    filed = reduce_frame(msgspec.structs.replace(job, output=str(path)))
    answered = reduce_frame(job)
    assert answered.content == path.read_bytes()
    assert (filed.sha256, filed.size) == (answered.sha256, answered.size)


def test_coordinates_and_zero_point_are_true(night: Night) -> None:
    for job, (ra, dec) in zip(night.jobs(), FIELDS, strict=True):
        path = night.directory / "true.fits"
        reduce_frame(msgspec.structs.replace(job, output=str(path)))
        header = fits.getheader(path)
        if not header["WCSSOLVE"]:
            continue
        assert abs(header["CRVAL1"] - ra) * np.cos(np.radians(dec)) * 3600 < 1.0
        assert abs(header["CRVAL2"] - dec) * 3600 < 1.0
        if header.get("MAGZPN", 0) >= 5:
            assert abs(header["MAGZP0"] - 21.2) < max(0.02, 3 * header["MAGZPERR"])


def test_a_changed_or_lost_raw_is_noticed(night: Night) -> None:
    job = night.jobs()[0]
    with pytest.raises(ChecksumError):
        reduce_frame(msgspec.structs.replace(job, raw=msgspec.structs.replace(job.raw, sha256="0" * 64)))
    with pytest.raises(NotFound, match="no store serves it"):
        reduce_frame(msgspec.structs.replace(job, raw=msgspec.structs.replace(job.raw, path="/nowhere")))


async def test_a_worker_on_another_host_fetches_over_http(night: Night, tmp_path: Path) -> None:
    job = night.jobs()[0]
    async with serving(tmp_path) as store:
        content = await in_thread(Path(job.raw.path or "").read_bytes)
        image = await store.put_image(content)
        there = msgspec.structs.replace(
            job.raw, id=image, path="/on/another/host.fits", url=store.server.url, token=store.server.token
        )
        product = await in_thread(reduce_frame, msgspec.structs.replace(job, raw=there))
    here = await in_thread(reduce_frame, job)
    assert fits.Header.fromstring((product.content or b"")[:28800])["RAWID"] == image
    assert len(product.content or b"") == len(here.content or b"")


@pytest.mark.slow
async def test_processes_give_the_same_and_survive_the_death_of_one(night: Night) -> None:
    workers = ProcessWorkers(2, nice=5)
    try:
        expected = await in_thread(serial, night)
        assert await all_of(workers, night.jobs()) == expected
        children = psutil.Process().children(recursive=True)
        assert {child.nice() for child in children if "spawn_main" in " ".join(child.cmdline())} == {5}
        running = asyncio.ensure_future(all_of(workers, night.jobs()))
        await asyncio.sleep(0)
        next(child for child in children if "spawn_main" in " ".join(child.cmdline())).kill()
        assert await running == expected
    finally:
        await workers.close()


def _dies(_: FrameJob) -> Product:
    os._exit(9)


@pytest.mark.slow
async def test_a_frame_that_kills_its_workers_is_an_error_in_words(night: Night) -> None:
    workers = ProcessWorkers(1, nice=0)
    try:
        with pytest.raises(WorkerLost, match="memory"):
            await workers.run(_dies, night.jobs()[0])
    finally:
        await workers.close()


async def test_inline_is_for_the_virtual_clock(night: Night) -> None:
    assert (await InlineWorkers().run(reduce_frame, night.jobs()[0])).content


@contextlib.asynccontextmanager
async def process(*command: str, directory: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = os.environ | {"PYTHONPATH": str(Path(reduction_kit.__file__).parent)}
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dask", *command, cwd=directory, env=environment,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.kill()
        await running.wait()


def free_port() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield int(probe.getsockname()[1])


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
async def test_dask_gives_what_a_serial_run_gives_though_a_worker_is_killed(night: Night, tmp_path: Path) -> None:
    port = next(free_port())
    address = f"tcp://127.0.0.1:{port}"
    plain = ("--no-dashboard",)
    worker = ("worker", address, "--nthreads", "1", "--no-nanny", *plain, "--local-directory", str(tmp_path))
    async with (
        process("scheduler", "--host", "127.0.0.1", "--port", str(port), *plain, directory=tmp_path),
        process(*worker, directory=tmp_path) as first,
        process(*worker, directory=tmp_path),
    ):
        workers = DaskWorkers(address, 4)
        try:
            found = await asyncio.gather(
                *(_patiently(workers, job, first, n) for n, job in enumerate(night.jobs(LATER)))
            )
        finally:
            await workers.close()
        assert first.returncode is not None
    for ours, theirs in zip(await in_thread(serial, night), found, strict=True):
        await in_thread(assert_same_but_date, tmp_path, ours, theirs)


async def _patiently(workers: DaskWorkers, job: FrameJob, victim: asyncio.subprocess.Process, number: int) -> bytes:
    """Run a job; with the first one that comes back, one of the two workers is killed in the middle of its next."""
    while True:
        try:
            product = await workers.run(slowly, job)
            break
        except ConnectionLost:
            await asyncio.sleep(0.5)
    if victim.returncode is None and number < len(FIELDS) - 1:
        with contextlib.suppress(ProcessLookupError):
            victim.send_signal(signal.SIGKILL)
        await victim.wait()
    return product.content or b""


async def test_no_scheduler_is_an_error_in_words(night: Night) -> None:
    workers = DaskWorkers(f"tcp://127.0.0.1:{next(free_port())}", 1)
    workers.connect_within = 0.5
    with pytest.raises(ConnectionLost, match="dask scheduler"):
        await workers.run(_dies, night.jobs()[0])
