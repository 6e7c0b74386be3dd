"""A seed is a whole world: it happens in the same way each time, and what goes wrong in it can be made short."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.simulation.command import main, report
from tests.support.simulation.mutants import MUTANTS, mutated
from tests.support.simulation.plan import Plan, draw
from tests.support.simulation.run import Result, simulate
from tests.support.simulation.shrinker import shrink

pytestmark = pytest.mark.unmeasured


@pytest.mark.parametrize("seed", [3, 4, 18])
def test_the_same_seed_gives_the_same_trace(seed: int) -> None:
    first, second = simulate(draw(seed)), simulate(draw(seed))
    assert first.digest == second.digest
    assert first.turns == second.turns


def test_another_process_gives_the_same_trace() -> None:
    command = [sys.executable, "-m", "tests.support.simulation", "--start", "7"]
    hashes = {
        subprocess.run(
            command, check=True, capture_output=True, text=True, env=os.environ | {"PYTHONHASHSEED": number}
        ).stdout.splitlines()[-1]
        for number in ("1", "2")
    }
    assert hashes == {f"all is well; trace {simulate(draw(7)).digest}"}


def test_another_seed_gives_another_world() -> None:
    assert draw(1) != draw(2)
    assert simulate(draw(1)).digest != simulate(draw(2)).digest


def test_a_plan_is_made_short() -> None:
    def run(plan: Plan) -> Result:
        """A world that fails if two of its faults happen."""
        is_wrong = whole.faults[2] in plan.faults and whole.faults[-1] in plan.faults
        return Result(plan, failure=AssertionError("both") if is_wrong else None)

    whole = next(plan for plan in map(draw, range(100)) if len(plan.faults) >= 8)
    kept, result = shrink(whole, run)
    assert kept == [2, len(whole.faults) - 1]
    assert result.plan == whole.keeping(kept)


def test_a_failure_says_how_to_see_it_again(capsys: pytest.CaptureFixture[str]) -> None:
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "forget a hold")
    with mutated(mutant):
        assert main(["--start", str(mutant.seed)]) == 1
        output = capsys.readouterr().out
        *_, again = [line for line in output.splitlines() if line.startswith("Again: ")]
        keep = again.partition(" KEEP=")[2]
        assert main(["--start", str(mutant.seed), "--keep", keep]) == 1
    assert f"seed {mutant.seed}: " in output
    assert again.startswith(f"Again: make simulate START={mutant.seed} SEEDS=1 KEEP=")
    assert main(["--start", str(mutant.seed), "--keep", keep]) == 0


def test_a_report_has_the_plan_and_the_failure() -> None:
    text = report(Result(draw(5), failure=AssertionError("money is missing")))
    assert str(draw(5)) in text
    assert "money is missing" in text


def test_many_worlds_are_added_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--start", "10", "--seeds", "3"]) == 0
    output = capsys.readouterr().out
    assert '"worlds": 3' in output
    assert '"failed": []' in output


def test_a_run_that_was_stopped_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = tmp_path / "summary.json"
    assert main(["--start", "10", "--seeds", "2", "--summary", str(summary)]) == 0
    first = json.loads(summary.read_text())
    assert (first["first_seed"], first["last_seed"], first["worlds"]) == (10, 11, 2)
    assert main(["--start", "10", "--seeds", "4", "--summary", str(summary)]) == 0
    whole = json.loads(summary.read_text())
    assert (whole["first_seed"], whole["last_seed"], whole["worlds"]) == (10, 13, 4)
    assert whole["calls"] == first["calls"] + sum(simulate(draw(seed)).calls for seed in (12, 13))
    assert whole["processor_seconds"] > first["processor_seconds"]
    with pytest.raises(ValueError, match="of a run from seed 10 on, and not 11"):
        main(["--start", "11", "--seeds", "4", "--summary", str(summary)])
