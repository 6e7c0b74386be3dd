"""Python programs in processes of their own, that don't each import the same modules again.

A fresh interpreter computes for half a second until it has imported what a command needs. Here, one process imports
it (``tests/support/fork_server.py``) and forks one for each program; the command that starts it
(``tests/support/fork_client.py``) imports next to nothing. Arguments,
folder, environment, standard streams, signals and exit code are the program's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

_ROOT: Final = Path(__file__).parents[2]
_CLIENT: Final = Path(__file__).with_name("fork_client.py")


class Forks:
    """Stands for ``python *options`` with *modules* imported; where nothing can be forked, it is just that."""

    def __init__(self, *options: str, modules: tuple[str, ...]) -> None:
        self._exits = ExitStack()
        if hasattr(os, "fork"):
            path = self._exits.enter_context(tempfile.TemporaryDirectory(prefix="forks-")) + "/socket"
            server = self._exits.enter_context(
                subprocess.Popen(
                    [sys.executable, *options, "-m", "tests.support.fork_server", path, *modules],
                    cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                )
            )  # fmt: skip
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            self._start = [sys.executable, "-I", "-S", str(_CLIENT), path]
        else:
            self._start = [sys.executable, *options]

    def command(self, *arguments: str | Path) -> list[str]:
        """What to start: *arguments* are ``-m MODULE …``, ``-c CODE …`` or ``FILE …``, like Python's own."""
        return [*self._start, *map(str, arguments)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End the server, which its input's end tells to; not the programs."""
        self._exits.close()
