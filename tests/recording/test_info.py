"""What is in a recording."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

import cryptoproto as cp
from cryptoproto.recording.block import StateRecord, Tally
from cryptoproto.recording.format import MARKER, Header
from cryptoproto.recording.info import Gap, recording_info
from cryptoproto.recording.recording_file import RecordingWriter
from tests.support.recordings import CONNECTED, START_US, Recorded, changed, write_recording
from tests.support.scripted_feed import book, disabled, trade

LOST = StateRecord("state", "waiting", "the connection was lost", 1, failed=True)
LIVE = StateRecord("state", "live", "connected")
END = StateRecord("end", "live", "connected")
FIRST: list[Recorded] = [
    (0, CONNECTED),
    (0, book(1)),
    (100, trade(2)),
    (200, LOST),
    (300, LIVE),
    (400, book(3)),
    (500, END),
]
SECOND: list[Recorded] = [(900, CONNECTED), (900, book(4, pair="ETH_USD")), (950, disabled("BTC_USD"))]


def at(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(START_US / 1e6, UTC) + timedelta(milliseconds=milliseconds)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_recording(tmp_path / "a.rec", FIRST, SECOND)


def test_everything_is_counted(path: Path) -> None:
    found = recording_info(path)
    assert found.tally == Tally(books=3, trades=1, others=1)
    assert found.tally.updates == 5
    assert (found.start, found.end) == (at(0), at(950))
    assert found.pairs == ["BTC_USD", "ETH_USD"]
    assert found.url == "ws://localhost"
    assert (found.blocks, found.size) == (2, os.path.getsize(path))
    assert found.bytes_per_update == found.size / 5
    assert found.gaps == [
        Gap(at(200), at(300), "the connection was lost"),
        Gap(at(500), at(900), "nothing was recorded"),
    ]
    assert (found.damages, found.torn, found.is_complete) == ([], None, False)


def test_a_closed_recording_is_complete(tmp_path: Path) -> None:
    found = recording_info(write_recording(tmp_path / "a.rec", FIRST))
    assert found.is_complete
    assert len(found.gaps) == 1


def test_a_recording_that_ends_with_a_disconnect(tmp_path: Path) -> None:
    found = recording_info(write_recording(tmp_path / "a.rec", [*FIRST[:3], (200, LOST), (250, LOST)]))
    assert found.gaps == [Gap(at(200), None, "the connection was lost")]


def test_an_empty_recording(tmp_path: Path) -> None:
    RecordingWriter(tmp_path / "a.rec", Header("ws://localhost", ["BTC_USD"], 0)).close()
    found = recording_info(tmp_path / "a.rec")
    assert (found.start, found.end, found.bytes_per_update, found.blocks) == (None, None, None, 0)
    assert found.pairs == ["BTC_USD"]


def test_damage_is_listed_with_its_place(path: Path) -> None:
    start = path.read_bytes().index(MARKER)
    changed(path, start + 60)
    found = recording_info(path)
    (damage,) = found.damages
    assert (damage.offset, damage.text) == (start, "block 0 is damaged")
    assert found.tally.updates == 2
    assert found.gaps == [Gap(at(0), at(900), "block 0 is damaged")]
    assert orjson.loads(orjson.dumps(found.as_dict()))["damages"][0]["offset"] == start


def test_a_gap_by_damage_ends_with_the_next_block(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.rec", FIRST[:3], [(150, trade(3))], [(160, trade(4))])
    _, second, _ = (found.start() for found in re.finditer(MARKER, path.read_bytes()))
    changed(path, second + 60)
    assert recording_info(path).gaps == [Gap(at(100), at(160), "block 1 is damaged")]


def test_an_unfinished_block_is_listed(path: Path) -> None:
    os.truncate(path, os.path.getsize(path) - 5)
    found = recording_info(path)
    assert found.torn is not None
    assert found.damages == []
    values = found.as_dict()
    assert values["torn"]["text"] == "the last block is incomplete"
    assert values["tally"] == {"books": 2, "trades": 1, "others": 0}


def test_a_block_that_no_recorder_wrote(path: Path) -> None:
    from cryptoproto.recording.block import Block

    writer = RecordingWriter(path, Header("ws://localhost", None, 0))
    writer.append(Block([1], [0], [], [], []), entries=7, first_us=0, last_us=0, flags=0)
    writer.close()
    with pytest.raises(cp.RecordingError, match=r"block 2 at byte .* is damaged: it has 1 entries instead of 7"):
        recording_info(path)
