"""Runs the notebooks of ``examples/``.

``python -m tests.support.notebooks NOTEBOOK`` runs a notebook and writes it to the standard output as JSON; with
``--keep``, it writes what the cells show into the file.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.support.command_line import process_environment

__all__ = ["EXAMPLES", "executed", "keep", "kinds", "run_again", "shown"]

_ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = _ROOT / "examples"


def executed(path: Path) -> Any:
    """Run a notebook in its folder; the notebook with what its cells have shown."""
    # These take two seconds to import, and only the process that runs a notebook needs them.
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
    return notebook


def keep(path: Path) -> None:
    """Run a notebook and keep in its file what it shows."""
    path.write_text(_as_json(executed(path)))


def _as_json(notebook: Any) -> str:
    import nbformat

    return str(nbformat.writes(notebook)) + "\n"


def run_again(path: Path) -> dict[str, Any]:
    """Run a notebook in a new process, as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.notebooks", path],
        env=process_environment(),
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    notebook: dict[str, Any] = json.loads(done.stdout)
    return notebook


def shown(notebook: dict[str, Any]) -> list[list[str]]:
    """What the cells with code have printed, or the plain text of their results."""
    found = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            texts = [output.get("text") or output["data"]["text/plain"] for output in cell["outputs"]]
            found.append(["".join(text) for text in texts])
    return found


def kinds(notebook: dict[str, Any]) -> set[str]:
    """The types of everything that is shown in other form than printed text."""
    return {kind for cell in notebook["cells"] for output in cell.get("outputs", ()) for kind in output.get("data", ())}


if __name__ == "__main__":
    if "--keep" in sys.argv:
        keep(Path(sys.argv[1]))
    else:
        print(_as_json(executed(Path(sys.argv[1]))), end="")  # noqa: T201 - that is what it is for
