"""Files: continued, cut off, damaged, of something else."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.recording import recording_file
from cryptoproto.recording.block import Block, Snapshot
from cryptoproto.recording.format import MARKER, Header
from cryptoproto.recording.recording_file import BlockRead, Damage, RecordingReader, RecordingWriter
from tests.support.recordings import CONNECTED, START_US, Market, write_recording

HEADER = Header("ws://localhost", None, START_US)
BLOCKS = 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Four blocks of ten updates."""
    stream = iter(Market(1).take(10 * BLOCKS))
    return write_recording(
        tmp_path / "a.rec", *([(number * 10 + each, next(stream)) for each in range(10)] for number in range(BLOCKS))
    )


def read(path: Path) -> tuple[list[BlockRead | Damage], Damage | None]:
    with RecordingReader(path) as reader:
        return list(reader.blocks()), reader.torn


def offsets(path: Path) -> list[int]:
    return [each.offset for each in read(path)[0]]


def updates(path: Path) -> list[object]:
    with RecordingReader(path) as reader:
        return [
            entry.message if isinstance(entry, Snapshot) else entry
            for each in reader.blocks()
            if isinstance(each, BlockRead)
            for _, entry in reader.entries(each)
        ]


def test_what_was_written_is_read(path: Path) -> None:
    blocks, torn = read(path)
    assert [each.head.number for each in blocks if isinstance(each, BlockRead)] == [0, 1, 2, 3]
    assert torn is None
    assert updates(path) == Market(1).take(40)


def test_an_existing_file_is_continued(path: Path) -> None:
    write_recording(path, [(50, CONNECTED)])
    blocks, _ = read(path)
    assert [each.head.number for each in blocks if isinstance(each, BlockRead)] == [0, 1, 2, 3, 4]
    assert updates(path) == [*Market(1).take(40), CONNECTED]


def test_a_file_cut_at_any_byte_gives_all_whole_blocks(path: Path) -> None:
    raw, starts = path.read_bytes(), offsets(path)
    for size in range(starts[2], len(raw)):
        path.write_bytes(raw[:size])
        blocks, torn = read(path)
        whole = sum(start <= size for start in starts[1:])
        assert len(blocks) == whole
        assert not any(isinstance(each, Damage) for each in blocks)
        start = starts[whole]
        assert torn == (None if size == start else Damage(start, size - start, "the last block is incomplete"))


def test_a_changed_byte_of_the_last_block_is_an_unfinished_block(path: Path) -> None:
    """After a power failure, a file may have its new length before its new content."""
    raw, last = path.read_bytes(), offsets(path)[-1]
    path.write_bytes(raw[:last] + bytes(len(raw) - last))
    blocks, torn = read(path)
    assert len(blocks) == BLOCKS - 1
    assert torn is not None
    assert torn.offset == last


def test_every_damaged_byte_in_the_middle_is_found_and_no_other_block_is_lost(path: Path) -> None:
    raw = path.read_bytes()
    _, second, third, *_ = offsets(path)
    for at in range(second, third):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 0x20]) + raw[at + 1 :])
        blocks, torn = read(path)
        assert [each.offset for each in blocks if isinstance(each, Damage)] == [second]
        assert [each.head.number for each in blocks if isinstance(each, BlockRead)] == [0, 2, 3]
        assert torn is None


def test_missing_blocks_are_noticed(path: Path) -> None:
    raw, starts = path.read_bytes(), offsets(path)
    path.write_bytes(raw[: starts[1]] + raw[starts[2] :])
    blocks, _ = read(path)
    assert blocks[1] == Damage(starts[1], 0, "block 2 follows block 0: some are missing")
    assert len(blocks) == 4


def test_the_next_block_is_found_across_long_damage(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, starts = path.read_bytes(), offsets(path)
    rubbish = (MARKER + b"....") * 100
    monkeypatch.setattr(recording_file, "_SEARCHED", 64)
    path.write_bytes(raw[: starts[1]] + rubbish + raw[starts[1] :])
    blocks, _ = read(path)
    assert blocks[1] == Damage(starts[1], len(rubbish), "the fields in front of a block are damaged")
    assert len(blocks) == 5


def test_the_writer_cuts_off_an_unfinished_block(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    raw, last = path.read_bytes(), offsets(path)[-1]
    path.write_bytes(raw[:-3])
    with caplog.at_level(logging.WARNING):
        write_recording(path, [(50, CONNECTED)])
    assert f"cut off {len(raw) - 3 - last} bytes of an unfinished block at byte {last}" in caplog.text
    assert updates(path) == [*Market(1).take(40)[:30], CONNECTED]
    assert [each.head.number for each in read(path)[0] if isinstance(each, BlockRead)] == [0, 1, 2, 3]


@pytest.mark.parametrize("size", [0, 5, 15, 30])
def test_a_file_that_was_killed_within_its_header_is_begun_anew(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])
    if size > 20:
        with pytest.raises(cp.RecordingError, match="cut off within its header"):
            RecordingReader(path)
    write_recording(path, [(50, CONNECTED)])
    assert updates(path) == [CONNECTED]


def test_a_damaged_file_is_not_continued(path: Path) -> None:
    raw, starts = path.read_bytes(), offsets(path)
    damaged = raw[: starts[1] + 60] + b"\xff\xff" + raw[starts[1] + 62 :]
    path.write_bytes(damaged)
    with pytest.raises(
        cp.RecordingError, match=rf"a\.rec: block 1 is damaged \(at byte {starts[1]}\); nothing was changed"
    ):
        RecordingWriter(path, HEADER)
    assert path.read_bytes() == damaged
    path.write_bytes(raw[:25] + b"\xff" + raw[26:])
    with pytest.raises(cp.RecordingError, match="header is damaged; nothing was changed"):
        RecordingWriter(path, HEADER)


def test_another_feed_or_other_pairs_are_refused(path: Path) -> None:
    with pytest.raises(cp.ConfigurationError, match=r"a recording of ws://localhost, not of wss://example\.com"):
        RecordingWriter(path, Header("wss://example.com", None, 0))
    with pytest.raises(cp.ConfigurationError, match="a recording of all pairs, not of BTC_USD, ETH_USD"):
        RecordingWriter(path, Header("ws://localhost", ["BTC_USD", "ETH_USD"], 0))
    assert len(read(path)[0]) == BLOCKS


def test_two_recorders_do_not_write_to_one_file(path: Path) -> None:
    writer = RecordingWriter(path, HEADER)
    with pytest.raises(cp.ConfigurationError, match=r"process \d+ is recording to this file"):
        RecordingWriter(path, HEADER)
    writer.close()
    writer.close()
    RecordingWriter(path, HEADER).close()
    with pytest.raises(cp.ConfigurationError, match="is closed"):
        writer.append(Block([], [], [], [], []), entries=0, first_us=0, last_us=0, flags=0)


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("buy milk\n")
    for use in (RecordingReader, lambda path: RecordingWriter(path, HEADER)):
        with pytest.raises(cp.ConfigurationError, match=r"notes\.txt: not a recording"):
            use(notes)
    assert notes.read_text() == "buy milk\n"
    assert list(tmp_path.iterdir()) == [notes], "no lock beside it"
    with pytest.raises(cp.ConfigurationError, match="cannot be read: No such file"):
        RecordingReader(tmp_path / "none.rec")
    with pytest.raises(cp.ConfigurationError, match="cannot be read: Is a directory"):
        RecordingReader(tmp_path)
    with pytest.raises(cp.RecordingError, match="cannot be written"):
        RecordingWriter(tmp_path / "no" / "folder.rec", HEADER)


def test_a_full_disk_is_an_error_that_names_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = RecordingWriter(path, HEADER)

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(cp.RecordingError, match=r"a\.rec: the recording cannot be written: No space left"):
        writer.append(Block([], [], [], [], []), entries=0, first_us=0, last_us=0, flags=0)
    writer.close()


def test_a_content_that_no_recorder_wrote_names_its_place(path: Path) -> None:
    writer = RecordingWriter(path, HEADER)
    start = writer.size
    writer.append(Block([9], [1], [], [], []), entries=1, first_us=0, last_us=0, flags=0)
    writer.close()
    with pytest.raises(cp.RecordingError, match=f"block 4 at byte {start} is damaged"):
        updates(path)


def test_a_reader_can_start_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "a.rec"
    stream = iter(Market(1))
    for number in range(6):
        write_recording(path, [(number * 10 + each, next(stream)) for each in range(10)], anchors=number % 3 == 0)
    with RecordingReader(path) as reader:
        for since_ms, first in ((0, 0), (15, 0), (29, 0), (30, 3), (45, 3), (1000, 3)):
            blocks = list(reader.blocks(since_us=START_US + since_ms * 1000))
            assert [each.head.number for each in blocks if isinstance(each, BlockRead)] == list(range(first, 6))


def test_a_file_that_can_no_longer_be_read_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RecordingReader(path) as reader:
        blocks = reader.blocks()
        next(blocks)

        def fail(raw: bytes) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(recording_file, "block_head", fail)
        with pytest.raises(cp.RecordingError, match="cannot be read: Input/output error"):
            next(blocks)


def test_a_header_that_can_not_be_read_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(raw: bytes) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(recording_file, "length_of_header", fail)
    with pytest.raises(cp.ConfigurationError, match=r"a\.rec: the recording cannot be read: Input/output error"):
        RecordingReader(path)
