"""The results of a run as plain values, and as a page that shows each script and why it failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

from ..version import __version__
from ..wire import Protocol
from .runner import Outcome, Result

__all__ = ["as_dict", "html_page", "totals"]

_STYLE: Final = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin-bottom: 2rem; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #8884; vertical-align: top; }
td.outcome { white-space: nowrap; font-weight: 600; width: 7rem; }
.passed { color: #18794e; } .failed { color: #cd2b31; } .not-strict { color: #ad5700; } .skipped { color: #888; }
pre { overflow-x: auto; padding: .6rem; background: #8882; } code { font-size: .9em; }
@media (prefers-color-scheme: dark) {
  .passed { color: #4cc38a; } .failed { color: #ff6369; } .not-strict { color: #ffb224; }
}
"""


def totals(results: Iterable[Result]) -> dict[Outcome, int]:
    """How many results there are of each outcome."""
    counted = Counter(result.outcome for result in results)
    return {outcome: counted[outcome] for outcome in Outcome}


def as_dict(result: Result) -> dict[str, Any]:
    """A result as plain values; the transcript only if the script did not pass."""
    script = result.script
    value: dict[str, Any] = {
        "script": script.name,
        "title": script.title,
        "section": script.section,
        "protocol": result.protocol.value,
        "outcome": result.outcome.value,
        "seconds": round(result.seconds, 3),
    }
    if result.outcome is not Outcome.PASSED:
        value |= {"reason": result.reason, "line": result.line, "transcript": list(result.transcript)}
    return value


def html_page(results: Sequence[Result], peer: str) -> str:
    """The report as one page, which needs no other file.

    Args:
        results: of a run.
        peer: what was tested: "exchange wss://…".
    """
    counted = totals(results)
    summary = " · ".join(
        f'<span class="{_css(outcome)}">{number} {outcome.value}</span>' for outcome, number in counted.items()
    )
    topics: dict[str, dict[str, list[Result]]] = {}
    for result in results:
        topics.setdefault(result.script.topic, {}).setdefault(result.script.name, []).append(result)
    body = "\n".join(_topic(topic, scripts) for topic, scripts in topics.items())
    details = "\n".join(_details(result) for result in results if result.outcome is not Outcome.PASSED)
    title = f"Conformance of {escape(peer)}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f"<style>{_STYLE}</style></head>\n<body><h1>{title}</h1>\n"
        f"<p>{len(results)} runs: {summary}. Made with cryptoproto {escape(__version__)}.</p>\n{body}\n"
        f"{f'<h2>What did not pass</h2>{details}' if details else ''}</body></html>\n"
    )


def _css(outcome: Outcome) -> str:
    return outcome.value.replace(" ", "-")


def _anchor(result: Result) -> str:
    return f"{result.script.name}-{result.protocol.value}".replace("/", "-")


def _topic(topic: str, scripts: dict[str, list[Result]]) -> str:
    heads = "".join(f"<th>{protocol.value}</th>" for protocol in Protocol)
    rows = "\n".join(_row(results) for results in scripts.values())
    return f"<h2>{escape(topic)}</h2>\n<table><tr><th>script</th><th>checks</th>{heads}</tr>\n{rows}\n</table>"


def _row(results: list[Result]) -> str:
    script = results[0].script
    cells = ""
    for protocol in Protocol:
        found = next((result for result in results if result.protocol is protocol), None)
        if found is None:
            cells += '<td class="outcome">–</td>'
        elif found.outcome is Outcome.PASSED:
            cells += '<td class="outcome passed">passed</td>'
        else:
            link = f'<a href="#{escape(_anchor(found))}">{found.outcome.value}</a>'
            cells += f'<td class="outcome {_css(found.outcome)}">{link}</td>'
    name = script.name.rpartition("/")[2]
    checks = f"{escape(script.title)}<br><small>{escape(script.section)}</small>"
    return f"<tr><td><code>{escape(name)}</code></td><td>{checks}</td>{cells}</tr>"


def _details(result: Result) -> str:
    outcome = f'<span class="{_css(result.outcome)}">{result.outcome.value}</span>'
    line = f", line {result.line}" if result.line else ""
    head = f"<code>{escape(result.script.name)}</code> ({result.protocol.value}): {outcome}{line}"
    transcript = "" if result.outcome is Outcome.SKIPPED else f"<pre>{escape(chr(10).join(result.transcript))}</pre>"
    return f'<h3 id="{escape(_anchor(result))}">{head}</h3>\n<pre>{escape(result.reason)}</pre>\n{transcript}'
