"""The notebooks of ``examples/`` with what they show, as pages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

__all__ = ["pages"]

_EXAMPLES: Final = Path(__file__).parents[3] / "examples"
_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")


def pages() -> dict[str, str]:
    """The text of each page, by its path in the site."""
    return {f"notebooks/{path.stem}.md": _page(path) for path in sorted(_EXAMPLES.glob("*.ipynb"))}


def _page(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    where = f"!!! note\n    This page is the notebook `examples/{path.name}` of the repository, with what it printed.\n"
    first, *rest = [_cell(cell) for cell in cells]
    return "\n\n".join([first, where, *rest]) + "\n"


def _cell(cell: dict[str, Any]) -> str:
    text = "".join(cell["source"])
    if cell["cell_type"] != "code":
        return text.replace("](../docs/", "](../")
    return "\n\n".join([f"```py\n{text}\n```", *(shown for output in cell["outputs"] if (shown := _output(output)))])


def _output(output: dict[str, Any]) -> str:
    """What a cell has shown: a picture, or text."""
    data = output.get("data", {})
    if "image/png" in data:
        return f'<img alt="plot" src="data:image/png;base64,{"".join(data["image/png"]).replace(chr(10), "")}">'
    text = "".join(output.get("text") or data.get("text/plain") or ())
    return f"```text\n{_ANSI.sub('', text).rstrip()}\n```" if text.strip() else ""
