"""Screens of terminal programs as lines of text, compared with files that a person can read.

``UPDATE_SCREENSHOTS=1`` writes the files anew.
"""

from __future__ import annotations

import html
import os
import re
from pathlib import Path
from typing import Any, Final

from textual.app import App

__all__ = ["check_screen", "lines_of"]

_TEXT: Final = re.compile(
    r'<text class="[^"]*-r\d+" x="([\d.]+)" y="[\d.]+" textLength="[\d.]+" clip-path="[^"]*-line-(\d+)\)">(.*?)</text>'
)
_CELL: Final = 12.2  # the width of a character in the pictures of rich


def lines_of(app: App[Any]) -> list[str]:
    """What the screen shows, without colours."""
    width, height = app.size
    grid = [[" "] * width for _ in range(height)]
    for x, line, text in _TEXT.findall(app.export_screenshot()):
        column = round(float(x) / _CELL)
        for offset, character in enumerate(html.unescape(text).replace("\xa0", " ")):
            if int(line) < height and column + offset < width:
                grid[int(line)][column + offset] = character
    return ["".join(row).rstrip() for row in grid]


def check_screen(app: App[Any], path: Path) -> None:
    """Compare the screen with the file at *path*."""
    shown = "\n".join(lines_of(app)) + "\n"
    if os.environ.get("UPDATE_SCREENSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown)
    assert shown == path.read_text(), f"{path.name}: look at it, and run again with UPDATE_SCREENSHOTS=1 if it is right"
