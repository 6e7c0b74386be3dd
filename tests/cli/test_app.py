"""The tree of commands: every command has help, and a mistake is explained in one sentence."""

from __future__ import annotations

import subprocess
import sys

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


@pytest.mark.parametrize("group", ["", "order", "apikeys", "license"])
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


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_its_extra_it_says_what_to_install(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("cryptoproto.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1


BASE = ("request", "balances", "--client-id", "alice", "--server-key", "alice.pub")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*BASE, "--key", "alice.pem", "--url", "{nobody}"), "cannot connect to {nobody}"),
        ((*BASE, "--key", "nobody.pem", "--url", "{nobody}"), "nobody.pem: no such private key file"),
        ((*BASE, "--key", "open.pem", "--url", "{nobody}"), "chmod 600 open.pem"),
        ((*BASE, "--key", "alice.pem", "--url", "ws://example.com"), "not this machine; use wss://"),
        ((*BASE, "--key", "alice.pem", "--url", "http://example.com"), "no WebSocket address"),
        (
            ("order", "buy", "BTC_USD", "a lot", "1", *BASE[2:], "--key", "alice.pem", "--url", "{nobody}"),
            "no decimal number",
        ),
    ],
)
def test_a_mistake_is_explained_in_one_sentence(
    arguments: tuple[str, ...], words: str, shell: Shell, unused_tcp_port: int
) -> None:
    nobody = f"ws://127.0.0.1:{unused_tcp_port}"
    (shell.folder / "open.pem").write_bytes((shell.folder / "alice.pem").read_bytes())
    (shell.folder / "open.pem").chmod(0o644)
    result = shell(*(argument.format(nobody=nobody) for argument in arguments))
    assert (result.code, result.out) == (1, "")
    assert words.format(nobody=nobody) in " ".join(result.err.split())
    assert "Traceback" not in result.err


def test_a_missing_option_is_a_usage_error(shell: Shell) -> None:
    missing = shell("request", "balances")
    assert missing.code == 2
    assert "--url" in missing.err
