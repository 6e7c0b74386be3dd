"""The report: every study runs, and what was measured becomes plots and a page. Nothing looks at durations."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import benchmarks
from benchmarks import report
from benchmarks.curves import versions
from benchmarks.machinery import documentation
from benchmarks.machinery.curve import Bars, Curve, Series, Study, distribution
from benchmarks.machinery.effort import Effort
from benchmarks.machinery.interpreters import label
from benchmarks.machinery.plots import svg
from benchmarks.machinery.processes import responder
from benchmarks.machinery.report import Row
from benchmarks.machinery.runner import name_of
from tests.support.html_page import HtmlPage

CURVE = Curve(
    "work",
    "A <cost>",
    "As it grows.",
    "things",
    "µs",
    [Series("we & you", "ours", [(1, 2.0), (10, 4.0)]), Series("bare", "floor", [(1, 1.0), (10, 1500.0)])],
)
TAIL = Curve("tail", "Tail", "Far.", "percentile", "µs", [Series("us", "ours", [(50, 1.0), (99.9, 9.0)])], "percentile")
MEMORY = Curve("memory", "Memory", "Flat.", "events", "MiB", [Series("us", "ours", [(0, 9.0), (9, 9.5)])], "time", True)
BARS = Bars("start", "Start", "Once.", "ms", [("Python", "floor", 12.0), ("ours", "ours", 1200.0)])
ROW = {"title": "a <row>", "unit": "ns", "ours": 2.0, "floor": 1.0, "value": 2.0, "target": "<= 3 x", "reached": True}
ABOUT = {"cpu": "a <cpu>", "cores": 2, "system": "Linux", "python": "CPython", "libraries": {"cryptoproto": "1"}}


def test_every_study_is_part_of_the_report() -> None:
    files = sorted(path.stem for path in Path(benchmarks.__file__).with_name("curves").glob("*.py"))
    assert sorted(["__init__", *(name_of(study).replace("-", "_") for study in report.STUDIES)]) == files


@pytest.mark.parametrize("study", report.STUDIES, ids=name_of)
def test_a_study_gives_numbers(study: Study) -> None:
    with responder() as server:
        drawings = study.drawings(Effort(1, True, lambda: server))
    assert len({each.name for each in drawings}) == len(drawings)
    for drawing in drawings:
        lines = [drawing.bars] if isinstance(drawing, Bars) else [each.points for each in drawing.series]
        for line in lines:
            assert line
            assert all(math.isfinite(point[-1]) and point[-1] >= 0 for point in line)


def test_percentiles_need_enough_samples() -> None:
    assert dict(distribution([3.0, 1.0, 2.0])) == {0.0: 1.0}
    many = dict(distribution(range(10_000)))
    assert (many[0.0], many[99.0], many[99.95]) == (0, 9_900, 9_995)
    assert 99.99 not in many


@pytest.mark.parametrize("drawing", [CURVE, TAIL, MEMORY, BARS], ids=lambda each: each.name)
def test_a_plot_has_its_labels_and_is_the_same_each_time(drawing: Any) -> None:
    text = svg(drawing)
    words = {"".join(element.itertext()) for element in ET.fromstring(text).iter() if "text" in element.tag}
    assert drawing.y in words
    if isinstance(drawing, Curve):
        assert drawing.x in words
        assert len(drawing.series) == 1 or {each.name for each in drawing.series} <= words
    else:
        assert {name for name, _, _ in drawing.bars} | {"1,200"} <= words
    assert svg(drawing) == text


def test_percentiles_are_named_on_the_axis() -> None:
    words = {"".join(each.itertext()) for each in ET.fromstring(svg(TAIL)).iter() if "text" in each.tag}
    assert {"p50", "p99", "p99.9"} <= words


def test_the_page_needs_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawings = [CURVE, BARS]
    monkeypatch.setattr(report, "run", lambda *arguments, **options: [])
    monkeypatch.setattr(report, "STUDIES", [SimpleNamespace(__name__="curves.s", drawings=lambda effort: drawings)])
    monkeypatch.setattr(sys, "argv", ["report", "--quick", "--to", str(tmp_path)])
    report.main()
    document = json.loads((tmp_path / "data.json").read_text())
    written = report.draw({**document, "rows": [ROW], "machine": ABOUT}, tmp_path)
    assert [path.name for path in written] == ["work.svg", "start.svg", "index.html"]
    text = (tmp_path / "index.html").read_text()
    page = HtmlPage(text)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert all(target.startswith("#") for target in page.targets)
    for words in ("A &lt;cost&gt;", "we &amp; you", "a &lt;row&gt;", "a &lt;cpu&gt;", "1,500", "reached"):
        assert words in text
    ET.fromstring((tmp_path / "work.svg").read_text())


def test_a_report_of_one_study_has_no_ratios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "STUDIES", [SimpleNamespace(__name__="curves.s", drawings=lambda effort: [BARS])])
    monkeypatch.setattr(sys, "argv", ["report", "--only", "s", "--to", str(tmp_path)])
    report.main()
    assert json.loads((tmp_path / "data.json").read_text())["rows"] == []
    assert "ratios" not in (tmp_path / "index.html").read_text()


def test_only_a_whole_report_fills_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled: list[dict[str, Any]] = []
    monkeypatch.setattr(report, "STUDIES", [SimpleNamespace(__name__="curves.s", drawings=lambda effort: [BARS])])
    monkeypatch.setattr(report, "run", lambda *arguments, **options: [Row.absolute("memory", "m", 1.0, unit="MiB")])
    monkeypatch.setattr(report, "record", lambda command, document: {command: document["rows"]})
    monkeypatch.setattr(documentation, "write", filled.append)
    monkeypatch.setattr(sys, "argv", ["report", "--to", str(tmp_path)])
    report.main()
    assert filled == []
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    report.main()
    assert [row["name"] for row in filled[0]["benchmarks"]] == ["memory"]


def test_an_interpreter_is_called_by_its_version() -> None:
    assert label(sys.executable).startswith(sys.version.split()[0])


def test_an_interpreter_that_lacks_a_package_is_named(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'picows'\" >&2\nexit 1\n")
    python.chmod(0o700)
    expected = (
        r"python cannot run the benchmarks: ModuleNotFoundError: No module named 'picows'; install the package there"
    )
    with pytest.raises(ValueError, match=expected):
        label(str(python))
    python.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(ValueError, match="cannot run the benchmarks: exit code 3"):
        label(str(python))


def test_every_interpreter_has_its_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(_server: Any, kind: str, *_: int, python: str, uvloop: bool, **__: Any) -> dict[str, float]:
        cost = len(python) + uvloop / 2
        return {"p50_us": cost} if kind == "round-trip" else {"cpu_us": cost}

    monkeypatch.setattr(versions, "run_client", measured)
    monkeypatch.setattr(versions, "label", lambda python: f"{python} free-threaded" if python == "3.1" else python)
    server: Any = SimpleNamespace
    effort = Effort(1, True, server, ("3.12", "3.1"))
    receive, _, trip = versions.drawings(effort)
    assert isinstance(receive, Bars)
    assert isinstance(trip, Bars)
    assert receive.bars == trip.bars
    assert receive.bars == [
        ("Python 3.12, asyncio", "ours", 4.0),
        ("Python 3.12, uvloop", "ours", 4.5),
        ("Python 3.1 free-threaded, asyncio", "ours", 3.0),
        ("Python 3.1 free-threaded, uvloop", "ours", 3.5),
    ]
    assert "orjson" not in receive.reading
    assert "orjson" in versions.drawings(Effort(1, True, server, ("3.12",)))[0].reading


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--only", "nothing", "--to", "folder"],
            "there is no study 'nothing'; choose one of latency, event-latency, message-size",
        ),
        (["--only", "latency"], "--quick and --only do not measure all of the report; choose another folder with --to"),
        (["--quick"], "choose another folder with --to"),
        (["--draw", "--to", "nowhere"], "--draw: there is no nowhere/data.json; measure first"),
        (["--python", "/no/python"], "--python: /no/python cannot be started: No such file or directory"),
    ],
)
def test_the_command_explains_what_is_wrong(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(report, "measure", None)
    monkeypatch.setattr(sys, "argv", ["report", *arguments])
    with pytest.raises(SystemExit):
        report.main()
    assert message in capsys.readouterr().err
