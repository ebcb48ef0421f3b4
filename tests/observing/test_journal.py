from __future__ import annotations

from pathlib import Path

import msgspec

from pytel.observing.journal import (
    Entry,
    ErrorSeen,
    ExposureTaken,
    LostBegan,
    LostEnded,
    NightBegan,
    SafetySeen,
    append_entry,
    read_journal,
)
from pytel.observing.report import NightReport, lost_spans, safe_spans


def test_what_was_written_is_read_and_half_a_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    entries: list[Entry] = [NightBegan(time=1.0), ExposureTaken(time=2.0, task="a", index=3, image="X")]
    for entry in entries:
        append_entry(path, entry)
    with path.open("ab") as file:
        file.write(b'{"kind":"safety","ti')
    assert read_journal(path) == entries
    append_entry(path, SafetySeen(time=3.0, safe=True))
    assert read_journal(path)[2:] == [SafetySeen(time=3.0, safe=True)]
    assert read_journal(tmp_path / "none") == []


def test_safe_time_goes_on_over_a_restart() -> None:
    entries = [
        NightBegan(time=0.0),
        SafetySeen(time=10.0, safe=True),
        NightBegan(time=50.0),
        SafetySeen(time=50.0, safe=True),
        SafetySeen(time=60.0, safe=False),
        SafetySeen(time=80.0, safe=True),
    ]
    assert safe_spans(entries, 100.0) == [(10.0, 60.0), (80.0, 100.0)]


def test_lost_time_ends_with_work_and_a_restart_is_lost_as_well() -> None:
    entries = [
        NightBegan(time=0.0),
        LostBegan(time=1.0, reason="rain"),
        LostEnded(time=5.0),
        ErrorSeen(time=7.0, name="DeviceError", message="stuck", during="slewing"),
        NightBegan(time=20.0),
        LostBegan(time=30.0, reason="dark"),
    ]
    assert lost_spans(entries, 40.0) == [
        ((1.0, 5.0), "rain"),
        ((7.0, 20.0), "the observer was not running"),
        ((30.0, 40.0), "dark"),
    ]


def test_the_report_has_a_schema() -> None:
    schema = msgspec.json.schema(NightReport)
    assert "open_shutter_fraction" in schema["$defs"]["NightReport"]["required"]
