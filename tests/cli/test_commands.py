"""The table of commands says of each what its own help says, and nothing else is imported for the list."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from cryptoproto.cli.commands import COMMANDS, load
from tests.support.command_line import process_environment, run


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_is_that_of_the_help(name: str) -> None:
    command = load(name)
    assert " ".join(command.help.split("\n\n")[0].split()) == COMMANDS[name].summary
    assert COMMANDS[name].summary[:60] in " ".join(run(name, "--help").out.split())


def test_the_list_has_all_commands_in_the_order_of_the_table() -> None:
    lines = [line.strip("│ ") for line in run("--help").out.splitlines()]
    names = [line.partition(" ")[0] for line in lines]
    assert [name for name in names if name in COMMANDS] == list(COMMANDS)
    text = " ".join(" ".join(lines).split())
    for name, place in COMMANDS.items():
        assert f"{name} {place.summary}" in text


def test_a_misspelled_command_gets_a_suggestion() -> None:
    wrong = run("ordr")
    assert wrong.code == 2
    assert "Did you mean 'order'" in wrong.err


def test_the_list_imports_no_command_and_nothing_that_only_commands_need() -> None:
    script = (
        "import sys, json; sys.argv = ['cryptoproto', '--help']\n"
        "from cryptoproto import cli\n"
        "try: cli.main()\n"
        "except SystemExit: print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=process_environment(measured=False),
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(json.loads(done.stderr.splitlines()[-1]))
    ours = {name for name in imported if name.startswith("cryptoproto.")}
    cli = {f"cryptoproto.cli{module}" for module in ("", ".app", ".commands", ".exit_codes")}
    assert {name for name in ours if not name.startswith("cryptoproto.exceptions")} == {
        "cryptoproto.public_names", "cryptoproto.version", *cli,
    }  # fmt: skip
    assert not imported & {
        "asyncio", "cryptography", "msgspec", "platformdirs", "sqlite3", "ssl", "textual", "tomlkit", "websockets",
    }  # fmt: skip
