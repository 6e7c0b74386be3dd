"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

from .curve import Bars, Drawing

__all__ = ["page"]

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #68707a; --paper: #fff; --ink: #1b1f24; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171b; --ink: #e6e8eb; --soft: #9aa2ab; }
  svg { filter: invert(.9) hue-rotate(180deg); }
}
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  margin: 2rem auto; max-width: 56rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .25rem; }
p { max-width: 46rem; } .soft { color: var(--soft); }
svg { width: 100%; height: auto; }
nav ul { columns: 18rem; padding-left: 1.2rem; }
details { margin: .25rem 0 0; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { text-align: right; padding: .2rem .7rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
td.what { white-space: normal; min-width: 18rem; }
"""


def page(
    drawings: Sequence[tuple[Drawing, str]], rows: Sequence[Mapping[str, Any]], about: Mapping[str, Any], command: str
) -> str:
    """The page as text.

    Args:
        drawings: what was measured, with its SVG.
        rows: the rows of ``python -m benchmarks --json``.
        about: the machine.
        command: repeats the measurements.
    """
    titles = {each.name: each.title for each, _ in drawings}
    if rows:
        titles["ratios"] = "All ratios"
    contents = "".join(f'<li><a href="#{name}">{html.escape(title)}</a></li>\n' for name, title in titles.items())
    sections = "".join(_section(each, picture) for each, picture in drawings)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>cryptoproto: how fast it is</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        "<h1>How fast cryptoproto is</h1>\n"
        f"{_machine(about, command)}\n<nav><ul>\n{contents}"
        f"</ul></nav>\n{sections}{_ratios(rows) if rows else ''}</body>\n</html>\n"
    )


def _machine(about: Mapping[str, Any], command: str) -> str:
    libraries = ", ".join(f"{name} {number}" for name, number in about["libraries"].items())
    return (
        f"<p>Measured on {html.escape(about['cpu'])} with {about['cores']} cores, {html.escape(about['system'])}, "
        f"{html.escape(about['python'])}, by <code>{html.escape(command)}</code>. Absolute figures depend on the "
        "machine and vary with its load; within a plot, everything was measured in turns. Dashed lines are floors: "
        "work that nobody can leave out, measured bare. Every plot has its figures below it.</p>\n"
        f'<p class="soft">{html.escape(libraries)}</p>'
    )


def _section(drawing: Drawing, picture: str) -> str:
    return (
        f'<section id="{drawing.name}">\n<h2>{html.escape(drawing.title)}</h2>\n<p>{html.escape(drawing.reading)}</p>\n'
        f'{picture}\n<details><summary>Figures</summary><div class="scroll">{_figures(drawing)}</div></details>\n'
        "</section>\n"
    )


def _figures(drawing: Drawing) -> str:
    if isinstance(drawing, Bars):
        body = "".join(f"<tr><td>{html.escape(name)}</td><td>{_number(y)}</td></tr>\n" for name, _, y in drawing.bars)
        return f"<table>\n<tr><th></th><th>{html.escape(drawing.y)}</th></tr>\n{body}</table>"
    head = "".join(f"<th>{html.escape(series.name)}</th>" for series in drawing.series)
    values = [dict(series.points) for series in drawing.series]
    body = "".join(
        f"<tr><td>{x:,g}</td>" + "".join(f"<td>{_number(each[x]) if x in each else ''}</td>" for each in values)
        + "</tr>\n"
        for x in sorted({x for each in values for x in each})
    )  # fmt: skip
    return f"<table>\n<tr><th>{html.escape(drawing.x)}</th>{head}</tr>\n{body}</table>"


def _ratios(rows: Sequence[Mapping[str, Any]]) -> str:
    body = "".join(
        f'<tr><td class="what">{html.escape(row["title"])}</td><td>{_number(row["ours"])} {row["unit"]}</td>'
        f"<td>{'' if row['floor'] is None else _number(row['floor']) + ' ' + row['unit']}</td>"
        f"<td>{_number(row['value'])}</td><td>{html.escape(row['target'])}</td>"
        f"<td>{ {True: 'reached', False: 'not reached', None: ''}[row['reached']] }</td></tr>\n"
        for row in rows
    )
    head = "".join(f"<th>{name}</th>" for name in ("what", "ours", "compared with", "ratio", "target", ""))
    return (
        '<section id="ratios">\n<h2>All ratios</h2>\n<p>Ours and the comparison took turns; the ratio is the median '
        f'of the rounds.</p>\n<div class="scroll"><table>\n<tr>{head}</tr>\n{body}</table></div>\n</section>\n'
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
