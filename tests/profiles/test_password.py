"""Where the password of a key is from, and that no error shows it."""

from __future__ import annotations

import sys

import pytest

import cryptoproto as cp
from cryptoproto.profiles.password import Password, find_password

WHERE = "[profiles.paper] of /a/config.toml"
SECRET = "correct-horse-battery"


def printing(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def test_the_environment_counts_more_than_the_profile() -> None:
    command = printing("print('from the profile')")
    both = {"CRYPTOPROTO_PASSWORD": SECRET, "CRYPTOPROTO_PASSWORD_COMMAND": "false"}
    assert find_password(command, WHERE, environment=both) == Password(SECRET, "CRYPTOPROTO_PASSWORD")
    one = {"CRYPTOPROTO_PASSWORD_COMMAND": f"{sys.executable} -I -S -c 'print(\"from the variable\")'"}
    assert find_password(command, WHERE, environment=one) == Password(
        "from the variable", "CRYPTOPROTO_PASSWORD_COMMAND"
    )
    found = find_password(command, WHERE, environment={})
    assert found == Password("from the profile", f"password_command in {WHERE}")
    assert find_password(None, WHERE, environment={}) is None


@pytest.mark.parametrize("printed", ["alice\\n", "alice", "alice\\r\\nurl: example.com\\n"])
def test_the_password_is_the_first_line(printed: str) -> None:
    found = find_password(printing(f"import sys; sys.stdout.write('{printed}')"), WHERE, environment={})
    assert found is not None
    assert found.value == "alice"


def test_the_password_is_not_shown() -> None:
    assert SECRET not in repr(Password(SECRET, "CRYPTOPROTO_PASSWORD"))
    assert SECRET not in f"{Password(SECRET, 'CRYPTOPROTO_PASSWORD')}"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (printing(f"print('{SECRET}'); import sys; sys.exit(3)"), "ended with exit code 3"),
        (printing("import sys; sys.exit(bool(sys.stdin.read()))"), "printed nothing on its first line"),
        (printing(f"print(); print('{SECRET}')"), "printed nothing on its first line"),
        (printing("print('x' * 5000)"), "printed more than 4096 bytes"),
        (printing("import sys; sys.stdout.buffer.write(bytes([255]))"), "printed text that is not UTF-8"),
        (["/no/such/program", SECRET], "cannot be run: No such file or directory"),
        (["pass", "\0" + SECRET], "cannot be run: it contains a NUL character"),
    ],
)
def test_a_command_that_fails(command: list[str], words: str) -> None:
    with pytest.raises(cp.ConfigurationError) as caught:
        find_password(command, WHERE, environment={})
    assert f"password_command in {WHERE}: {command[0]!r} {words}" in str(caught.value)
    assert "run the command by hand" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_command_that_does_not_end_is_killed() -> None:
    with pytest.raises(cp.ConfigurationError, match=r"did not end within 0.01 s"):
        find_password(printing("import time; time.sleep(600)"), WHERE, environment={}, timeout=0.01)


def test_a_variable_that_is_no_command() -> None:
    with pytest.raises(cp.ConfigurationError, match="CRYPTOPROTO_PASSWORD_COMMAND is not a command: No closing quot"):
        find_password(None, WHERE, environment={"CRYPTOPROTO_PASSWORD_COMMAND": "pass 'alice"})
