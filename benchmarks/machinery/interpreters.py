"""What an interpreter is called in the report, and whether it can run the benchmarks."""

from __future__ import annotations

import subprocess

from .processes import ROOT, environment

__all__ = ["label"]

_ASK = """
import sys, sysconfig
import cryptoproto, aiohttp, picows, uvloop
import benchmarks.machinery.client_consumer
print(sys.version.split()[0] + (" free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""))
"""


def label(python: str) -> str:
    """The version of the interpreter at the path *python*, with the kind of its build.

    Raises:
        ValueError: it cannot be started, or lacks a package; the message says which.
    """
    try:
        done = subprocess.run(
            [python, "-c", _ASK], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise ValueError(f"{python} cannot be started: {error.strerror}") from error
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
        raise ValueError(
            f"{python} cannot run the benchmarks: {reason}; install the package there with the extras fast and bench"
        )
    return done.stdout.strip()
