"""What ``make bench-check`` calls worse: with rows that are given, not measured."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import check
from benchmarks.check import compare
from benchmarks.machinery.report import Row
from benchmarks.machinery.runner import Measurement, name_of


def cost(name: str, ratio: float) -> Row:
    return Row.from_pairs(name, "", [(ratio, 1.0)], unit="ns", at_most=9)


def speed(name: str, ratio: float) -> Row:
    return Row.from_pairs(name, "", [(1.0, ratio)], unit="ns", times_faster=2)


class Given:
    """Measures what it was given, and notes the rounds that were asked for."""

    def __init__(self, *attempts: list[Row]) -> None:
        self.attempts = list(attempts)
        self.times: list[int] = []

    def __call__(self, name: str, times: int) -> list[Row]:
        self.times.append(times)
        return self.attempts.pop(0)


def found(baseline: dict[str, float], given: Given) -> list[tuple[str, bool, int]]:
    measurement: Any = SimpleNamespace(__name__="benchmarks.rows.encode", ROUNDS=3)
    return [(each.name, each.is_worse, each.attempts) for each in compare(baseline, [measurement], given)]


def test_what_is_as_good_is_measured_once() -> None:
    given = Given([cost("encode", 1.05), speed("encode-obvious", 5.8), cost("new", 7)])
    assert found({"encode": 1.0, "encode-obvious": 6.0}, given) == [
        ("encode", False, 1),
        ("encode-obvious", False, 1),
    ]
    assert given.times == [1]


def test_a_disturbance_is_not_an_alarm() -> None:
    given = Given([cost("encode", 1.5)], [cost("encode", 1.02)])
    assert found({"encode": 1.0}, given) == [("encode", False, 2)]
    assert given.times == [1, 2]


@pytest.mark.parametrize("row", [cost("encode", 1.2), speed("encode", 0.8)])
def test_what_stays_worse_is(row: Row) -> None:
    given = Given(*(3 * [[row]]))
    assert found({"encode": 1.0}, given) == [("encode", True, 3)]
    assert given.times == [1, 2, 4]


def test_the_best_of_all_attempts_counts_for_each_row() -> None:
    given = Given([cost("a", 1.3), cost("b", 1.0)], [cost("a", 1.2), cost("b", 1.3)], [cost("a", 1.25), cost("b", 1.4)])
    assert found({"a": 1.0, "b": 1.0}, given) == [("a", True, 3), ("b", False, 3)]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    def run(rows: list[Row], *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["check", *arguments])
        monkeypatch.setattr(check, "run", lambda measurements, **options: rows)
        check.main(tmp_path / "baseline.json")

    return run


def test_the_command(run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run([cost("encode", 1.5), Row.absolute("memory", "", 3, unit="MiB")], "--only", "encode", "--accept")
    assert json.loads((tmp_path / "baseline.json").read_text()) == {"encode": 1.5}
    run([cost("encode", 1.5)], "--only", "encode")
    with pytest.raises(SystemExit, match=r"worse by more than 10%, each time that it was measured: encode"):
        run([cost("encode", 1.8)], "--only", "encode")
    assert "+20% worse" in capsys.readouterr().out


def test_what_has_no_committed_ratio_is_not_measured(
    run: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "baseline.json").write_text('{"encode-obvious": 6}')
    run([speed("encode-obvious", 6)])
    assert "encode-obvious" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run([Row.absolute("memory", "", 3, unit="MiB")], "--only", "memory")
    assert "has no ratio of memory" in capsys.readouterr().err


def test_recorded_figures_are_measured_again_only_if_they_look_worse(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = [asdict(cost(name, 1.5)) for name in ("encode", "client-memory", "memory", "client-memory-growth")]
    measured: list[tuple[str, int]] = []

    def run(measurements: list[Measurement], *, rounds: int) -> list[Row]:
        (each,) = measurements
        measured.append((name_of(each), rounds // each.ROUNDS))
        return [cost("encode", 1.02)]

    monkeypatch.setattr(check, "load", lambda: {"commands": {"benchmarks": recorded}})
    monkeypatch.setattr(check, "run", run)
    monkeypatch.setattr(sys, "argv", ["check", "--recorded"])
    baseline = tmp_path / "baseline.json"
    baseline.write_text('{"encode": 1.0, "client-memory": 1.5, "client-memory-growth": 1.45, "decode": 2}')
    check.main(baseline)
    assert measured == [("decode", 1), ("encode", 2)]
    assert "client-memory-growth" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["check", "--recorded", "--accept"])
    check.main(baseline)
    assert json.loads(baseline.read_text())["encode"] == 1.5


@pytest.mark.parametrize(
    ("arguments", "message"), [([], "measure one with --accept"), (["--only", "x"], "there is no benchmark 'x'")]
)
def test_the_command_explains_what_is_missing(
    run: Any, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit):
        run([], *arguments)
    assert message in capsys.readouterr().err
