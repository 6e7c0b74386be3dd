"""``recording info``: what is in a file."""

from __future__ import annotations

import os

from cryptoproto.recording.block import StateRecord
from cryptoproto.recording.format import MARKER, Header
from cryptoproto.recording.recording_file import RecordingWriter
from tests.support.command_line import Shell
from tests.support.recordings import CONNECTED, changed, write_recording
from tests.support.scripted_feed import book, trade

LOST = StateRecord("state", "waiting", "gone [for good]", 1, failed=True)
LIVE = StateRecord("state", "live", "connected")
END = StateRecord("end", "live", "connected")


def test_a_recording(shell: Shell) -> None:
    path = write_recording(
        shell.folder / "a.rec",
        [(0, CONNECTED), (0, book(1)), (1, trade(2))],
        [(5, LOST), (9, LIVE), (9, book(3)), (10, END)],
    )
    shown = shell("recording", "info", "a.rec")
    assert shown.code == 0, shown.err
    assert "3: 2 books, 1 trades, 0 others" in shown.out
    assert "2023-11-14 22:13:20.000000 UTC" in shown.out
    assert f"{os.path.getsize(path):,} bytes, " in shown.out
    assert "gone [for good]" in shown.out
    assert shown.err == ""
    (values,) = shell("recording", "info", "a.rec", "--json").lines
    assert values["tally"] == {"books": 2, "trades": 1, "others": 0}
    assert values["is_complete"] is True


def test_an_unfinished_recording(shell: Shell) -> None:
    path = write_recording(shell.folder / "a.rec", [(0, CONNECTED), (0, book(1)), (1, LOST)])
    shown = shell("recording", "info", "a.rec")
    assert shown.code == 0
    assert "the end" in shown.out
    assert "was killed, or is still running" in shown.err
    os.truncate(path, os.path.getsize(path) - 1)
    shown = shell("recording", "info", "a.rec")
    assert shown.code == 0
    assert "unfinished block" in shown.err
    assert "nothing was recorded" in shown.out


def test_an_empty_recording(shell: Shell) -> None:
    RecordingWriter(shell.folder / "a.rec", Header("ws://localhost", None, 0)).close()
    shown = shell("recording", "info", "a.rec")
    assert shown.code == 0
    assert "nothing was recorded" in shown.out
    assert shown.err == ""


def test_damage(shell: Shell) -> None:
    path = write_recording(shell.folder / "a.rec", [(0, CONNECTED), (0, book(1))], [(5, book(2))])
    changed(path, path.read_bytes().index(MARKER) + 60)
    shown = shell("recording", "info", "a.rec")
    assert shown.code == 1
    assert "block 0 is damaged" in " ".join(shown.err.split())


def test_another_file(shell: Shell) -> None:
    shown = shell("recording", "info", "alice.pub")
    assert shown.code == 2
    assert "alice.pub: not a recording" in shown.err
    assert shell("recording", "info", "none.rec").code == 2
