"""The tree of commands: every command has help, and a mistake is explained in one sentence."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import pytest

import cryptoproto as cp
from cryptoproto import cli
from tests.support.command_line import Shell, process_environment, run


@pytest.mark.parametrize(
    "command",
    ["keygen", "exchange", "tail", "order buy", "order sell", "order cancel", "order cancel-all", "request", "book",
     "demo", "bench"],
)  # fmt: skip
def test_every_command_has_help_with_an_example(command: str) -> None:
    shown = run(*command.split(), "--help")
    assert shown.code == 0
    assert f"Example: cryptoproto {command}" in " ".join(shown.out.split())


@pytest.mark.parametrize("group", ["", "order", "history", "apikeys", "license"])
def test_a_group_of_commands_lists_them(group: str) -> None:
    shown = run(*group.split(), "--help")
    assert shown.code == 0
    assert "Usage:" in shown.out
    assert "Commands" in shown.out


def test_the_version() -> None:
    assert run("--version").out == f"cryptoproto {cp.__version__}\n"


def test_python_runs_the_package() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "cryptoproto", "order", "nonsense"],
        env=process_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "No such command 'nonsense'" in done.stderr


def test_ctrl_c_ends_a_command_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cp.PrivateKey, "generate", interrupted)
    assert run("keygen", "a.pem").code == 130


@pytest.mark.parametrize("missing", ["typer", "rich", "tomlkit"])
def test_without_its_extra_it_says_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("cryptoproto.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [missing, *(name for name in sys.modules if name.startswith(f"{missing}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(sys, "argv", ["cryptoproto", "profile", "list"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1


BASE = ("request", "balances", "--client-id", "alice", "--server-key", "alice.pub")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((*BASE, "--key", "alice.pem", "--url", "{nobody}"), 3, "cannot connect to {nobody}"),
        ((*BASE, "--key", "nobody.pem", "--url", "{nobody}"), 2, "nobody.pem: no such private key file"),
        ((*BASE, "--key", "open.pem", "--url", "{nobody}"), 2, "chmod 600 open.pem"),
        ((*BASE, "--key", "alice.pem", "--url", "ws://example.com"), 2, "not on this machine; use wss://"),
        ((*BASE, "--key", "alice.pem", "--url", "http://example.com"), 2, "not a WebSocket address"),
        (
            ("order", "buy", "BTC_USD", "a lot", "1", *BASE[2:], "--key", "alice.pem", "--url", "{nobody}"),
            2,
            "not a decimal number",
        ),
    ],
)
def test_a_mistake_is_explained_in_one_sentence(
    arguments: tuple[str, ...], code: int, words: str, shell: Shell, unused_tcp_port: int
) -> None:
    nobody = f"ws://127.0.0.1:{unused_tcp_port}"
    (shell.folder / "open.pem").write_bytes((shell.folder / "alice.pem").read_bytes())
    (shell.folder / "open.pem").chmod(0o644)
    result = shell(*(argument.format(nobody=nobody) for argument in arguments))
    assert (result.code, result.out) == (code, "")
    assert words.format(nobody=nobody) in " ".join(result.err.split())
    assert "Traceback" not in result.err
    as_json = shell(*(argument.format(nobody=nobody) for argument in arguments), "--json")
    shown = json.loads(as_json.err)
    assert (as_json.code, as_json.out, shown["exit_code"]) == (code, "", code)
    assert words.format(nobody=nobody) in shown["message"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("exchange", "--port", "abc"), "Invalid value for '--port': it must be a whole number"),
        (("demo", "--seconds", "long"), "Invalid value for '--seconds': it must be a number"),
        (("demo", "--seconds", "0"), "Invalid value for '--seconds': it must be greater than or equal to 1"),
    ],
)
def test_a_number_that_is_none_or_out_of_range_is_explained_in_plain_words(
    arguments: tuple[str, ...], words: str, shell: Shell
) -> None:
    result = shell(*arguments)
    assert result.code == 2
    assert words in " ".join(result.err.split())


def test_a_missing_option_is_a_usage_error(shell: Shell) -> None:
    missing = shell("request", "balances")
    assert missing.code == 2
    assert "--url" in missing.err
    shown = json.loads(shell("request", "balances", "--json").err)
    assert (shown["error"], shown["exit_code"]) == ("ConfigurationError", 2)
    assert "--url" in shown["message"]


@pytest.mark.parametrize("arguments", [("book", "BTC_USD", "--transport", "pigeon"), ("apikeys", "keygen", "pigeon")])
def test_an_unknown_choice_is_named_with_the_choices(arguments: tuple[str, ...], tmp_path: Path) -> None:
    refused = run(*arguments, "--json", cwd=tmp_path)
    assert refused.code == 2
    assert ": 'pigeon' is not one of '" in json.loads(refused.err)["message"]
    assert ": 'pigeon' is not one of '" in " ".join(run(*arguments, cwd=tmp_path).err.split())


def test_a_prompt_without_an_answer_is_an_error_in_json(shell: Shell) -> None:
    result = shell("keygen", "new.pem", "--encrypt", "--json")
    assert result.code == 1
    assert json.loads(result.err.splitlines()[-1])["error"] == "Aborted"


def test_flags_are_shown_without_a_type() -> None:
    for command in ("--help", "tail --help", "order buy --help", "apikeys sign --help"):
        shown = run(*command.split())
        assert shown.code == 0
        assert "bool" not in shown.out.lower()


def test_the_help_names_the_exit_codes() -> None:
    shown = " ".join(run("--help").out.split())
    assert "3 no connection" in shown
    assert "--install-completion" in shown


def test_completion_knows_the_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cryptoproto"],
        env=process_environment()
        | {"_PYTHON__M_CRYPTOPROTO_COMPLETE": "complete_bash", "COMP_WORDS": "cryptoproto ord", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "order" in done.stdout.split()


def test_a_paragraph_of_the_help_is_wrapped_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert "Halfway through, the exchange restarts." in run("demo", "--help").out


def test_a_public_key_in_place_of_a_private_one_is_named_as_such(shell: Shell) -> None:
    shown = shell(*BASE, "--key", "alice.pub", "--url", "ws://127.0.0.1:1")
    assert shown.code == 2
    assert "alice.pub: this is a public key, but a private key is expected" in shown.err
    assert "chmod" not in shown.err


def test_a_missing_public_key_names_a_command_that_makes_it(shell: Shell) -> None:
    missing = shell("exchange", "--client", "bob=bob.pub")
    assert missing.code == 2
    assert "cryptoproto keygen bob.pem" in missing.err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line_and_a_closed_output_none(shell: Shell) -> None:
    """In processes: what is buffered would fail again as they end."""

    def keygen(name: str, redirection: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", f'"$0" -m cryptoproto keygen {name} --json {redirection}', sys.executable],
            env=process_environment(),
            cwd=shell.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    full = keygen("full.pem", ">/dev/full")
    assert full.returncode == 1
    (line,) = full.stderr.splitlines()
    assert json.loads(line)["message"].startswith("the output cannot be written: No space left on device")
    closed = keygen("closed.pem", ">&-")
    assert (closed.returncode, closed.stderr) == (0, "")
    assert (shell.folder / "closed.pem").exists()


def test_another_error_of_the_system_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (OSError(errno.EIO, "I/O error", "a file"), OSError(errno.EPERM, "not allowed")):
        monkeypatch.setattr(cp.PrivateKey, "generate", Mock(side_effect=error))
        with pytest.raises(OSError, match=r"I/O error|not allowed"):
            run("keygen", "never.pem")


def test_an_output_that_is_not_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cp.PrivateKey, "generate", Mock(side_effect=OSError(errno.ENOSPC, "No space left on device")))
    assert run("keygen", "never.pem").code == 1
