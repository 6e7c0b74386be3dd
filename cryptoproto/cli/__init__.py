"""The command line. The only room that prints.

:func:`main` is the entry point. It turns the package's errors into one sentence on standard error, or into JSON with
``--json``, and says what to install if the ``cli`` extra is missing.
"""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> None:
    """Run the command line with the arguments of this process."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed when the process began
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for the life of the process
    try:
        from .app import run

        code = run()
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"typer", "rich", "tomlkit"}:
            raise
        sys.stderr.write("The command line needs more packages: pip install 'cryptoproto[cli]'\n")
        sys.exit(1)
    sys.exit(code)
