"""``record``: from a running exchange to a file."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any, Self

import pytest

import cryptoproto as cp
from cryptoproto.recording.info import recording_info
from cryptoproto.sync.exchange import Exchange
from tests.support.command_line import Shell, start


@pytest.fixture
def traded(shell: Shell, venue: Exchange) -> Shell:
    """A shell, and an exchange with a book."""
    assert shell("order", "buy", "BTC_USD", "0.5", "15000").code == 0
    return shell


def test_it_records_for_a_time(traded: Shell) -> None:
    done = traded("record", "BTC_USD", "--to", "a.rec", "--for", "1s", "--json")
    assert done.code == 0, done.err
    (shown,) = done.lines
    assert shown["updates"] == 2  # the rules, and the book
    found = recording_info(traded.folder / "a.rec")
    assert found.is_complete
    assert found.pairs == ["BTC_USD"]
    assert shown["bytes"] == found.size
    again = traded("record", "BTC_USD", "--to", "a.rec", "--for", "1s")
    assert again.code == 0, again.err
    assert "a.rec  2 updates" in again.out
    assert recording_info(traded.folder / "a.rec").tally.updates == 4
    other = traded("record", "ETH_USD", "--to", "a.rec", "--for", "1s")
    assert other.code == 2
    assert "nothing was recorded" not in other.err
    assert "a recording of BTC_USD, not of ETH_USD" in other.err


@pytest.mark.usefixtures("venue")
def test_without_anything_to_record(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoproto.cli.record._until_the_end", lambda *_: asyncio.sleep(0))
    done = shell("record", "--to", "a.rec")
    assert done.code == 0, done.err
    assert recording_info(shell.folder / "a.rec").is_complete


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_finishes_the_block(traded: Shell, venue: Exchange, number: signal.Signals) -> None:
    environment = {"CRYPTOPROTO_MARKET_DATA_URL": venue.market_data_url}
    command = ("record", "BTC_USD", "--to", "a.rec", "--json")
    with start(*command, cwd=traded.folder, env=environment, stream="stderr") as program:
        assert program.first_line == "Recording BTC_USD to a.rec. Press Ctrl-C to stop.\n"
        assert program.kill(number) == 128 + number
    found = recording_info(traded.folder / "a.rec")
    assert found.is_complete
    assert found.tally.books == 1


def test_an_exchange_that_cannot_be_reached_leaves_no_file(shell: Shell, unused_tcp_port: int) -> None:
    url = f"ws://127.0.0.1:{unused_tcp_port}"
    result = shell("record", "BTC_USD", "--to", "a.rec", "--url", url, "--timeout", "0.2")
    assert result.code == 3
    assert f"cannot connect to {url}" in " ".join(result.err.split())
    assert not (shell.folder / "a.rec").exists()
    assert shell("record", "BTC_USD", "--to", "a.rec", "--url", "ws://example.com").code == 2
    assert shell("record", "BTC_USD", "--to", "a.rec", "--for", "soon").code == 2
    assert shell("record", "BTC_USD").code == 2


@pytest.mark.usefixtures("venue")
def test_a_pair_without_a_book_leaves_no_file(shell: Shell) -> None:
    result = shell("record", "NO_SUCH", "--to", "a.rec", "--timeout", "0.2")
    assert result.code == 4
    assert "no book of NO_SUCH was received within 0.2 s" in " ".join(result.err.split())
    assert not (shell.folder / "a.rec").exists()


def test_a_disk_that_is_full_ends_it(traded: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync
    calls: list[int] = []

    def fail(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr("os.fsync", fail)
    done = traded("record", "BTC_USD", "--to", "a.rec", "--block-interval", "0.01", "--json")
    assert done.code == 1
    assert json.loads(done.err.splitlines()[-1])["error"] == "RecordingError"
    assert "No space left on device" in done.err


def test_the_progress_is_shown_on_a_terminal(traded: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptoproto.cli import record
    from cryptoproto.cli.output import notes

    shown: list[str] = []

    class Screen:
        def __init__(self, first: Any, **options: Any) -> None:
            shown.append(str(first))

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, text: Any, refresh: bool) -> None:
            shown.append(str(text))

    monkeypatch.setattr(record, "Live", Screen)
    monkeypatch.setattr(type(notes), "is_terminal", True)
    assert traded("record", "BTC_USD", "--to", "a.rec", "--for", "1s").code == 0
    assert "0:00:00  2 updates" in shown[-1]


def test_disconnects_are_shown(tmp_path: Path) -> None:
    from cryptoproto.cli.record import _progress, _show_end

    recorder = cp.record(cp.MarketData("ws://localhost"), tmp_path / "a.rec")
    recorder.gaps = 2
    assert "2 disconnects" in str(_progress(recorder, 3723.0))
    recorder.gaps = 1
    assert "1 disconnect " in str(_progress(recorder, 3723.0))
    assert "1:02:03" in str(_progress(recorder, 3723.0))
    recorder.updates = 5
    _show_end(recorder, json=False)
