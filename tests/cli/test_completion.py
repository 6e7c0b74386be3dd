"""Shell completion, installed in and used by real shells."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.command_line import process_environment

ASK: Final = {
    "bash": """
        source "$HOME/.bashrc"
        COMP_WORDS=(cryptoproto ord); COMP_CWORD=1
        _cryptoproto_completion cryptoproto
        printf '%s\\n' "${COMPREPLY[@]}"
    """,
    "zsh": """
        source "$HOME/.zshrc"
        [[ "$_comps[cryptoproto]" = _cryptoproto ]] || exit 1
        compdef() { :; }
        _arguments() { print -r -- "$@" }
        words=(cryptoproto ord); CURRENT=2
        source "$HOME/.zfunc/_cryptoproto"
        _cryptoproto_completion
    """,
    "fish": "complete --do-complete 'cryptoproto ord'",
}
"""A script for each shell that completes the line ``cryptoproto ord``, as the Tab key would."""


@pytest.mark.parametrize("shell", ASK)
def test_completion_can_be_installed_and_works(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    commands = Path(sys.executable).parent
    environment = process_environment() | {"HOME": str(tmp_path), "PATH": f"{commands}:/usr/bin:/bin"}

    def run(script: str) -> str:
        done = subprocess.run(
            [program, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # Something follows the command, because a shell that has nothing else to do becomes it.
    assert f"{shell} completion installed" in run("cryptoproto --install-completion; true")
    assert "order" in run(ASK[shell])
