"""What is started through ``tests/support/forks.py`` is a process like any other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.forks import Forks

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def ran(python: Forks, *arguments: str, **options: Any) -> tuple[int, str, str]:
    done = subprocess.run(
        python.command(*arguments), capture_output=True, text=True, check=False, timeout=60, **options
    )
    return done.returncode, done.stdout, done.stderr


def test_arguments_folder_environment_and_streams(strict_python: Forks, tmp_path: Path) -> None:
    code = "import os, sys; print(__name__, sys.argv, os.getcwd(), os.environ['A'], 'HOME' in os.environ, input())"
    name = str(tmp_path / "program.py")
    Path(name).write_text(code)
    for arguments, shown in ((("-c", code), "-c"), ((name,), name), (("-m", "program"), name)):
        done = ran(strict_python, *arguments, "x", cwd=tmp_path, env={"A": "ä"}, input="words")
        assert done == (0, f"__main__ {[shown, 'x']} {tmp_path} ä False words\n", "")


def test_how_it_ends(strict_python: Forks) -> None:
    assert ran(strict_python, "-c", "import sys; sys.exit(3)") == (3, "", "")
    assert ran(strict_python, "-c", "import sys; sys.exit('why')") == (1, "", "why\n")
    assert ran(strict_python, "-c", "import os; os.kill(os.getpid(), 9)") == (-9, "", "")
    code, _, said = ran(strict_python, "-c", "1 / 0")
    assert (code, said.splitlines()[-1]) == (1, "ZeroDivisionError: division by zero")


def test_warnings_are_errors_and_what_stays_open_is_told(strict_python: Forks) -> None:
    code, _, said = ran(strict_python, "-c", "import warnings; warnings.warn('attention')")
    assert (code, said.splitlines()[-1]) == (1, "UserWarning: attention")
    assert "ResourceWarning: unclosed file" in ran(strict_python, "-c", f"open({__file__!r})")[2]


def test_nothing_but_the_package_is_imported(strict_python: Forks) -> None:
    rooms = "{name for name in sys.modules if name.startswith('cryptoproto.') and name.count('.') == 1}"
    code = f"import sys; print(sorted({rooms}))"
    forked = ran(strict_python, "-c", code)
    fresh = subprocess.run(
        [sys.executable, "-c", f"import cryptoproto; {code}"], capture_output=True, text=True, check=True
    )
    assert forked == (0, fresh.stdout, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_reach_it(strict_python: Forks, number: signal.Signals) -> None:
    code = "import sys, threading; print('ready', flush=True); threading.Event().wait()"
    with subprocess.Popen(strict_python.command("-c", code), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(number)
        assert process.stdout.read() == b"", "it is the last that has this open"
        assert process.wait(60) == -number
