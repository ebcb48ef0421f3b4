"""Log lines on their way between processes: whole, in order, whatever else is written to stderr."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytel.module.log_lines import Budget, LineReader, line_formatter, marked

LEVELS = st.sampled_from([logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL])
LINE = st.text(st.characters(blacklist_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=40)


def read(chunks: list[bytes]) -> list[logging.LogRecord]:
    records: list[logging.LogRecord] = []
    reader = LineReader("camera", records.append)
    for chunk in chunks:
        reader.feed(chunk)
    reader.close()
    return records


def written(name: str, level: int, message: str) -> bytes:
    record = logging.LogRecord(name, level, "", 0, message, None, None)
    return marked(line_formatter().format(record), level).encode()


@given(st.lists(st.tuples(LEVELS, st.lists(LINE, min_size=1, max_size=4)), max_size=6), st.integers(1, 40))
def test_what_is_written_is_read_however_it_is_cut(told: list[tuple[int, list[str]]], size: int) -> None:
    stream = b"".join(written("pytel.camera", level, "\n".join(lines)) for level, lines in told)
    records = read([stream[start : start + size] for start in range(0, len(stream), size)])
    assert [(record.levelno, record.name) for record in records] == [(level, "pytel.camera") for level, _ in told]
    for record, (_, lines) in zip(records, told, strict=True):
        assert record.getMessage().rstrip("\n") == "\n".join(lines).rstrip("\n")


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_nothing_that_is_written_can_break_the_reader(chunks: list[bytes]) -> None:
    for record in read(chunks):
        assert record.getMessage().strip()


def test_an_error_keeps_its_level_and_a_traceback_is_one() -> None:
    text = b"Traceback (most recent call last):\n  File x\nKeyError: 'lens'\n"
    (record,) = read([text])
    assert record.levelno == logging.ERROR
    assert record.name == "pytel.camera"
    (record,) = read([b"hello\nyou"])
    assert (record.levelno, record.getMessage()) == (logging.WARNING, "hello\nyou")


def test_an_endless_line_takes_no_memory() -> None:
    (record,) = read([b"x" * 1000 for _ in range(100)])
    assert len(record.getMessage()) < 20_000


def test_a_burst_passes_and_a_flood_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("pytel.module.log_lines.time.monotonic", lambda: now)
    budget = Budget(per_second=10.0, burst=5.0)
    assert [budget.take() for _ in range(7)] == [True] * 5 + [False] * 2
    assert budget.settle() == 0
    now = 1.0
    assert budget.settle() == 3  # the note that tells of it has not passed either
    assert budget.settle() == 0
    assert budget.take()


def test_what_every_process_may_tell_has_the_name_of_the_process() -> None:
    records = read(
        [written(name, logging.INFO, "stands still") for name in ("pytel.watchdog", "slixmpp", "pytel.lens")]
    )
    assert [record.getMessage() for record in records] == [
        "camera: stands still",
        "camera: stands still",
        "stands still",
    ]
