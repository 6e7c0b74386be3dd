"""Exploring by chance: the same inputs for the same seed, and what a finding says."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import pytest

from tests.fuzz.__main__ import main
from tests.fuzz.explore import FindingError, explore
from tests.fuzz.mutations import mutants
from tests.fuzz.target import Target


def read_word(data: bytes) -> str:
    """A reader with a fault: the third letter of the word must not be an x."""
    if not data.startswith(b"ab"):
        raise ValueError
    if data[2:3] == b"x":
        raise KeyError(data)
    return data.decode("latin-1")


FAULTY = Target("faulty", read_word, (ValueError,), lambda: (b"abc",), words=(b"x",), longest=8)


def test_a_fault_is_found_and_printed_so_that_it_can_be_repeated() -> None:
    with pytest.raises(FindingError) as caught:
        explore(FAULTY, [b"abc"], seed=1, inputs=10_000)
    assert isinstance(caught.value.__cause__, KeyError)
    data = caught.value.data
    assert data.startswith(b"abx")
    assert f"python -m tests.fuzz --target faulty --input {data.hex()}" in str(caught.value)


def test_a_result_that_fails_its_check_is_a_finding() -> None:
    def check(data: bytes, result: str) -> None:
        raise ValueError("an error that the reader documents, but not from here")

    target = Target("checked", read_word, (ValueError,), lambda: (), check)
    with pytest.raises(FindingError, match="but not from here"):
        explore(target, [b"abc"], seed=1, inputs=1)


def test_inputs_that_should_have_been_accepted_are_findings() -> None:
    def check_refused(data: bytes) -> None:
        assert not data, "refused, and should not be"

    target = Target("refused", read_word, (ValueError,), lambda: (), check_refused=check_refused)
    assert not target.run(b"")
    with pytest.raises(AssertionError, match="should not be"):
        target.run(b"b")


def test_it_counts_what_it_reads() -> None:
    done = explore(Target("any", bytes, (), lambda: ()), [b"abc", b""], seed=1, inputs=700)
    assert (done.inputs, done.accepted) == (700, 700)
    ticks = iter(range(100))
    done = explore(FAULTY, [b""], seed=1, seconds=3, clock=lambda: next(ticks))
    assert done.inputs > 1
    assert done.accepted == 0


def test_the_same_seed_makes_the_same_inputs() -> None:
    def made(seed: int) -> list[bytes]:
        return list(islice(mutants([b"abc", b'{"a": 1}'], [b"word"], 64, seed), 500))

    assert made(1) == made(1) != made(2)
    assert max(map(len, made(1))) <= 64
    assert any(b"word" in data for data in made(1))


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = ["--engine", "chance", "--inputs", "300", "--corpus", str(tmp_path)]
    assert main(["--target", "market-hello", *chance]) == 0
    assert re.fullmatch(r"market-hello: 300 inputs in \d+ s by chance, no finding\n", capsys.readouterr().out)
    assert main(["--target", "market-hello", "--input", "00000001"]) == 0
    assert capsys.readouterr().out == "market-hello: this input breaks no promise\n"
    assert main(["--target", "nothing"]) == 2


def test_a_finding_is_an_exit_code_and_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzz.__main__.all_targets", lambda: {"faulty": FAULTY})
    assert main(["--engine", "chance", "--inputs", "10000", "--corpus", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    (file,) = (tmp_path / "findings" / "faulty").iterdir()
    assert f"--input {file.read_bytes().hex()}" in said
    assert str(file) in said
