"""Draws the samples of a soak as SVG, with matplotlib (extra ``backtest``)."""

from __future__ import annotations

from pathlib import Path

from tests.soak.samples import WARM_UP, Series

__all__ = ["draw"]


def draw(path: Path, series: list[Series], title: str) -> None:
    """One row for each of *series*, with the line whose slope is stated."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "soak"
    import matplotlib.pyplot as plt

    figure, rows = plt.subplots(len(series), 1, sharex=True, figsize=(9, 1.6 * len(series)), layout="constrained")
    for row, each in zip(rows, series, strict=True):
        minutes = [second / 60 for second in each.seconds]
        row.plot(minutes, each.values, linewidth=0.8)
        start = int(len(minutes) * WARM_UP)
        middle = sum(each.values[start:]) / len(each.values[start:])
        half = each.slope() / 60 * (minutes[-1] - minutes[start]) / 2
        row.plot([minutes[start], minutes[-1]], [middle - half, middle + half], linewidth=1.2, color="tab:red")
        unit = f" {each.unit}" if each.unit else ""
        row.set_title(f"{each.name}: {each.slope():+.2f}{unit} an hour", fontsize=9, loc="left")
        row.set_ylim(bottom=0)
        row.tick_params(labelsize=7)
    rows[-1].set_xlabel("minutes", fontsize=8)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)
