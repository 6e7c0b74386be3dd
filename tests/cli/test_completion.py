"""Shell completion, installed and used by real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.command_line import process_environment

PROGRAM: Final = Path(sys.executable).parent / "cryptoproto"

ASK: Final = {
    "bash": 'source "$HOME/.bash_completions/cryptoproto.sh"; COMP_WORDS=({words}); COMP_CWORD={last}; '
    '_cryptoproto_completion cryptoproto; printf "%s\\n" "${{COMPREPLY[@]}}"',
    "zsh": "fpath=($HOME/.zfunc $fpath); autoload -Uz compinit; compinit -u; "
    "compadd() {{ :; }}; _describe() {{ eval print -l '${{'$2'[@]}}'; }}; _arguments() {{ eval $5 2>/dev/null; eval ${{@[-1]#*:*:}}; }}; "
    "words=({words}); CURRENT={number}; autoload +X _cryptoproto; _cryptoproto",
    "fish": "complete --do-complete '{line}'",
}
"""How a script has each shell complete a line."""


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    return name
