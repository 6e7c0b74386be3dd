"""The coverage gate: what it counts, what it names, and when it fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tools.coverage_gate import main, own_share, room_of, rooms


def measured(covered: int, total: int, missing: list[int], branches: list[list[int]] | None = None) -> dict[str, Any]:
    summary = {"covered_lines": covered, "num_statements": total, "covered_branches": 0, "num_branches": 0}
    return {"summary": summary, "missing_lines": missing, "missing_branches": branches or []}


def test_a_module_on_the_ground_floor_is_a_room() -> None:
    assert room_of("cryptoproto/keys.py") == "keys"
    assert room_of("cryptoproto/client/store/memory.py") == "client"


def test_gaps_name_lines_and_branches() -> None:
    (room,) = rooms({"cryptoproto/sync/a.py": measured(5, 10, [1, 2, 3, 7], [[9, 12], [10, -1], [7, 8]])})
    assert room.gaps == ("cryptoproto/sync/a.py: 1-3, 7, 9->12, 10->exit",)
    assert (room.percent, room.passes) == (50.0, False)


@pytest.mark.parametrize(
    ("path", "covered", "code"),
    [
        ("cryptoproto/sync/a.py", 980, 0),
        ("cryptoproto/sync/a.py", 979, 1),
        ("cryptoproto/wire/a.py", 999, 1),
        ("cryptoproto/wire/a.py", 1000, 0),
    ],
)
def test_the_limits(path: str, covered: int, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "coverage.json"
    missing = list(range(covered, 1000))
    report.write_text(json.dumps({"files": {path: measured(covered, 1000, missing)}}))
    assert main([str(report)]) == code
    assert (path in capsys.readouterr().out) is (code == 1)


def test_the_share_of_a_modules_own_test_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, long, other = "tests/wire/test_a.py::t|run", "tests/wire/test_a_more.py::t|run", "tests/wire/test_ab.py::t|run"
    contexts = {"1": [""], "2": [own, other], "3": ["", long], "4": [other], "5": [other]}
    module = measured(5, 5, []) | {"contexts": contexts}
    assert own_share("cryptoproto/wire/a.py", module) == 0.5
    report = tmp_path / "coverage.json"
    report.write_text(json.dumps({"files": {"cryptoproto/wire/a.py": module}}))
    assert main([str(report), "--own"]) == 0
    assert capsys.readouterr().out.split() == ["50%", "cryptoproto/wire/a.py"]


def test_modules_and_their_tests_need_contexts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "coverage.json"
    report.write_text(json.dumps({"files": {"cryptoproto/wire/a.py": measured(5, 5, [])}}))
    with pytest.raises(SystemExit, match="2"):
        main([str(report), "--own"])
    assert "make coverage CONTEXTS=1" in capsys.readouterr().err
