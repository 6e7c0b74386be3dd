"""Configuration files for tests: written with the mode that they need."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path

import pytest

__all__ = ["clear_environment", "write_config"]


def write_config(path: Path, text: str, mode: int = 0o600) -> Path:
    """Write *text*, without its indentation, to the file *path*."""
    path.write_text(textwrap.dedent(text))
    path.chmod(mode)
    return path


def clear_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables of the machine that would count more than a file."""
    for name in list(os.environ):
        if name.startswith("CRYPTOPROTO_"):
            monkeypatch.delenv(name)
