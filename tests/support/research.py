"""The notebook ``examples/research.ipynb`` and the recording that it reads.

``python -m tests.support.research`` makes both anew; ``python -m tests.support.research NOTEBOOK`` runs a notebook and
writes it to the standard output as JSON.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import nbformat
from nbclient import NotebookClient

from benchmarks.machinery import busy_market

__all__ = ["NOTEBOOK", "RECORDING"]

_ROOT: Final = Path(__file__).parents[2]
NOTEBOOK: Final = _ROOT / "examples" / "research.ipynb"
RECORDING: Final = _ROOT / "tests" / "recording" / "market.rec"
_UPDATES: Final = 6000
_RATE: Final = 10.0  # ten minutes


def executed(notebook: Any, folder: Path) -> Any:
    """Run the cells in *folder* and keep what they show."""
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
    return notebook


def main() -> None:
    if len(sys.argv) > 1:
        path = Path(sys.argv[1])
        notebook = nbformat.read(path, as_version=4)
        print(nbformat.writes(executed(notebook, NOTEBOOK.parent)))  # noqa: T201 - that is what it is for
        return
    RECORDING.unlink(missing_ok=True)
    busy_market.write(RECORDING, _UPDATES, rate=_RATE)
    nbformat.write(executed(nbformat.read(NOTEBOOK, as_version=4), NOTEBOOK.parent), NOTEBOOK)


if __name__ == "__main__":
    main()
