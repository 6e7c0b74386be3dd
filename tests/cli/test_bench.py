"""``bench``: a short run gives every row."""

from __future__ import annotations

from tests.support.command_line import run


def test_every_row_has_its_percentiles() -> None:
    result = run("bench", "--count", "5", "--json")
    assert result.code == 0, result.err
    (rows,) = result.lines
    assert len(rows) == 6
    assert all(0 < row["p50"] <= row["p99"] <= row["max"] for row in rows)
