"""The notebook in the examples runs, and shows what it showed when it was written."""

from __future__ import annotations

import json

from benchmarks.machinery import busy_market
from cryptoproto.recording.block import Snapshot, StateRecord
from cryptoproto.recording.recording_file import BlockRead, RecordingReader
from tests.support.notebooks import kinds, run_again, shown
from tests.support.research import NOTEBOOK, RECORDING


def test_the_notebook_runs() -> None:
    kept = json.loads(NOTEBOOK.read_text())
    now = run_again(NOTEBOOK)
    info, _, _, spreads, _ = shown(now)  # tables look different in other versions of pandas and polars
    assert [info, spreads] == [shown(kept)[0], shown(kept)[3]]
    assert "4840" in info[0]
    assert kinds(now) == kinds(kept)
    assert "image/png" in kinds(kept)


def test_the_recording_is_what_the_market_makes() -> None:
    with RecordingReader(RECORDING) as reader:
        recorded = [
            (at_us, entry.message if isinstance(entry, Snapshot) else entry)
            for read in reader.blocks()
            if isinstance(read, BlockRead)
            for at_us, entry in reader.entries(read)
            if not isinstance(entry, StateRecord)
        ]
    assert recorded == [update for update, _ in zip(busy_market.updates(rate=10.0), recorded, strict=False)]
    assert RECORDING.stat().st_size < 100_000
