"""The help of every command, as a manual page: at 80 columns, with units, defaults, an example and exit codes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from cryptoproto.cli.commands import COMMANDS, load
from cryptoproto.cli.exit_codes import ExitCode
from tests.support.command_line import run


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        yield path, command
    for name, each in (below or {}).items():
        yield from commands(each, (*path, name))


ALL: Final = [found for name in COMMANDS for found in commands(load(name), (name,))]
each_command = pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])


def options(command: Any) -> list[Any]:
    return [param for param in command.params if param.param_type_name == "option"]


def words(text: str) -> str:
    """The words of a help page, without its frames and line breaks."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


@each_command
def test_the_help_fits_80_columns(path: tuple[str, ...], command: Any) -> None:
    shown = run(*path, "--help", env={"COLUMNS": "80"})
    assert (shown.code, shown.err) == (0, "")
    assert max(map(len, shown.out.splitlines())) <= 80
    cut_off = [line for line in shown.out.splitlines() if "…" in line and "token=…" not in line]
    assert cut_off == []
    text = words(shown.out)
    for option in options(command):
        for name in option.opts:
            assert name in text
        if option.envvar:
            assert f"[env var: {option.envvar}]" in text


@each_command
def test_a_command_has_a_description_an_example_and_its_exit_codes(path: tuple[str, ...], command: Any) -> None:
    text = words(run(*path, "--help", env={"COLUMNS": "80"}).out)
    assert f"{' '.join(path)} [OPTIONS]" in text
    assert "Example: cryptoproto " in text
    codes = text.partition("Exit codes: ")[2]
    listed = {int(code) for code in re.findall(r"(?:^|, )(\d) ", codes)}
    names = {param.name for param in command.params}
    assert {ExitCode.SUCCESS, ExitCode.FAILED, ExitCode.USAGE} <= listed
    assert (ExitCode.IN_USE in listed) == ("take_over" in names)
    assert (ExitCode.NO_CONNECTION in listed) == (ExitCode.NO_ANSWER in listed)
    assert (ExitCode.NO_CONNECTION in listed) >= ("timeout" in names or "take_over" in names)


@each_command
def test_every_parameter_is_described(path: tuple[str, ...], command: Any) -> None:
    for param in command.params:
        if param.name == "help":
            continue
        assert param.help, param.name
        assert param.help.endswith((".", ")")), param.help


@each_command
def test_numbers_have_a_unit(path: tuple[str, ...], command: Any) -> None:
    shown = words(run(*path, "--help", env={"COLUMNS": "300"}).out)
    without = re.findall(r"(--[\w-]+)(?: -\w)? <(?:int|float)(?: range)?>", shown)
    assert set(without) <= {"--client-order-id", "--resume-from", "--seed"}, "numbers that have none"


def test_a_time_must_be_positive() -> None:
    for wrong in ("0", "-1", "nan"):
        refused = run("book", "BTC_USD", f"--timeout={wrong}", "--json")
        assert refused.code == 2
        assert "must be more than 0" in refused.err
