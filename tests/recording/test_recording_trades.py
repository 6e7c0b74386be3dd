"""The trades of a recording, without an event loop."""

from __future__ import annotations

from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.recording.block import StateRecord
from cryptoproto.recording.format import MARKER
from cryptoproto.recording.recording_trades import Interruption, recording_trades
from tests.support.recordings import CONNECTED, START_US, changed, write_recording
from tests.support.scripted_feed import book, trade

LOST = StateRecord("state", "waiting", "lost", 1, failed=True)
END = StateRecord("end", "live", "connected")


def test_trades_and_interruptions_in_order(tmp_path: Path) -> None:
    path = write_recording(
        tmp_path / "a.rec",
        [(0, CONNECTED), (0, book(1)), (10, trade(2)), (20, trade(3, pair="ETH_USD")), (30, END)],
        [(90, CONNECTED), (95, trade(4)), (96, LOST), (97, LOST), (99, StateRecord("state", "live", "connected"))],
        [(100, LOST)],
    )
    assert list(recording_trades(path)) == [
        trade(2),
        trade(3, pair="ETH_USD"),
        Interruption(START_US + 30_000, START_US + 90_000),
        trade(4),
        Interruption(START_US + 95_000, START_US + 99_000),
    ]
    assert [each for each in recording_trades(path, trade_pair="ETH_USD") if isinstance(each, cp.AnonymousTrade)] == [
        trade(3, pair="ETH_USD")
    ]


def test_damage(tmp_path: Path) -> None:
    path = write_recording(tmp_path / "a.rec", [(0, CONNECTED), (0, trade(1))], [(10, trade(2))], [(20, trade(3))])
    second = path.read_bytes().index(MARKER, path.read_bytes().index(MARKER) + 1)
    changed(path, second + 60)
    with pytest.raises(cp.RecordingError, match=rf"block 1 is damaged \(at byte {second}\); skip_damaged=True"):
        list(recording_trades(path))
    assert list(recording_trades(path, skip_damaged=True)) == [
        trade(1),
        Interruption(START_US, START_US + 20_000),
        trade(3),
    ]
