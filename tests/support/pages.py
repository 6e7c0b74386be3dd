"""The pages of the documentation and their code blocks."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["PAGES", "ROOT", "Block", "blocks"]

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])

_BLOCK: Final = re.compile(
    r'^(?P<indent> *)```(?P<language>\w+)(?: title="(?P<title>[^"\n]+)")?\n(?P<code>.*?)^(?P=indent)```$',
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    """A fenced block. One without a title has to work by itself, wherever it is pasted."""

    language: str
    title: str | None
    code: str


def blocks(page: Path) -> list[Block]:
    """The code blocks of a page, those inside lists included."""
    return [
        Block(found["language"], found["title"], textwrap.dedent(found["code"]))
        for found in _BLOCK.finditer(page.read_text(encoding="utf-8"))
    ]
