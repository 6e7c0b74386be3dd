"""Curves and bars as SVG, drawn by matplotlib."""

from __future__ import annotations

import io
import math
from typing import Any, Final

from .curve import Bars, Curve, Drawing, Role

__all__ = ["svg"]

_COLORS: Final[dict[Role, tuple[str, ...]]] = {
    "ours": ("#1f6feb", "#0f9d8a", "#7a5af5", "#c2410c"),
    "peer": ("#b45309", "#be185d"),
    "floor": ("#7d8590", "#a8b0b9"),
}
_PERCENTILE_TICKS: Final = (0, 50, 90, 99, 99.9, 99.99)


def svg(drawing: Drawing) -> str:
    """The drawing as an SVG element; the same drawing gives the same text."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(8.6, 4.4 if isinstance(drawing, Curve) else 0.9 + 0.5 * len(drawing.bars)))
    figure.set_layout_engine("constrained")
    axes = figure.subplots()
    if isinstance(drawing, Curve):
        _draw_curve(axes, drawing)
    else:
        _draw_bars(axes, drawing)
    axes.spines[["top", "right"]].set_visible(False)
    written = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "cryptoproto", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = written.getvalue()
    return text[text.index("<svg") :]


def _draw_curve(axes: Any, curve: Curve) -> None:
    used: dict[Role, int] = {"ours": 0, "peer": 0, "floor": 0}
    for series in curve.series:
        colors = _COLORS[series.role]
        color = colors[used[series.role] % len(colors)]
        used[series.role] += 1
        xs = [_spread(x) if curve.axis == "percentile" else x for x, _ in series.points]
        axes.plot(
            xs, [y for _, y in series.points], "--" if series.role == "floor" else "-", color=color,
            label=series.name, linewidth=1.8, marker="" if curve.axis == "time" else "o", markersize=4,
        )  # fmt: skip
    if curve.axis == "percentile":
        axes.set_xticks([_spread(tick) for tick in _PERCENTILE_TICKS], [f"p{tick:g}" for tick in _PERCENTILE_TICKS])
    elif curve.axis == "work":
        axes.set_xscale("log")
        axes.set_xticks(sorted({x for series in curve.series for x, _ in series.points}))
        axes.minorticks_off()
    if curve.axis != "percentile":
        axes.xaxis.set_major_formatter(_plain)
    if curve.from_zero:
        axes.set_ylim(bottom=0, top=1.15 * max(y for series in curve.series for _, y in series.points))
    else:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(_one_of_1_2_5)
        axes.tick_params(axis="y", which="minor", labelsize="small")
    axes.yaxis.set_major_formatter(_plain)
    axes.set_xlabel(curve.x)
    axes.set_ylabel(curve.y)
    axes.grid(visible=True, which="both" if not curve.from_zero else "major", alpha=0.2)
    if len(curve.series) > 1:
        axes.legend(frameon=False, fontsize="small")


def _draw_bars(axes: Any, bars: Bars) -> None:
    names = [name for name, _, _ in bars.bars]
    lengths = [length for _, _, length in bars.bars]
    drawn = axes.barh(names, lengths, color=[_COLORS[role][0] for _, role, _ in bars.bars], height=0.6)
    axes.bar_label(drawn, [_plain(length, None) for length in lengths], padding=4, fontsize="small")
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12 * max(lengths))
    axes.set_xlabel(bars.y)
    axes.grid(visible=True, axis="x", alpha=0.2)
    axes.set_axisbelow(True)


def _spread(percentile: float) -> float:
    """Equal steps for 90, 99, 99.9 …: the tail gets as much room as the rest."""
    return -math.log10(1 - percentile / 100)


def _plain(value: float, _position: object) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _one_of_1_2_5(value: float, _position: object) -> str:
    return _plain(value, None) if f"{value:e}"[0] in "25" and f"{value:.0e}"[1:2] == "e" else ""
