"""File systems that are really full or read-only: small ones in memory, where the system lets a user mount them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.lives import ROOT

pytestmark = [
    pytest.mark.unmeasured,
    pytest.mark.skipif(
        sys.platform != "linux" or shutil.which("unshare") is None or shutil.which("mount") is None,
        reason="a small file system is mounted with unshare and mount, on Linux",
    ),
]


def run(what: str, folder: Path) -> None:
    done = subprocess.run(
        ["unshare", "-rm", sys.executable, "-m", "tests.support.small_disk", what, folder],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.stdout == "cannot mount" or (done.returncode and done.stderr.startswith("unshare:")):
        pytest.skip(f"this system does not let a user mount a file system: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done"


def test_a_full_file_system_is_named_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    run("full", tmp_path)


def test_a_read_only_file_system_is_refused_by_name(tmp_path: Path) -> None:
    run("read-only", tmp_path)
