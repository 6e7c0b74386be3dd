"""The notebook in the examples runs, and shows what it showed when it was written."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from benchmarks.machinery import busy_market
from cryptoproto.recording.block import Snapshot, StateRecord
from cryptoproto.recording.recording_file import BlockRead, RecordingReader
from tests.support.command_line import process_environment
from tests.support.research import NOTEBOOK, RECORDING


def shown(notebook: dict[str, Any]) -> list[list[str]]:
    """What the cells with code have printed, or the plain text of their results."""
    found = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            texts = [output.get("text") or output["data"]["text/plain"] for output in cell["outputs"]]
            found.append(["".join(text) for text in texts])
    return found


def kinds(notebook: dict[str, Any]) -> set[str]:
    return {kind for cell in notebook["cells"] for output in cell.get("outputs", ()) for kind in output.get("data", ())}


def test_the_notebook_runs() -> None:
    kept = json.loads(NOTEBOOK.read_text())
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.research", NOTEBOOK],
        env=process_environment(),
        cwd=NOTEBOOK.parents[1],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    now = json.loads(done.stdout)
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
