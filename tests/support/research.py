"""The notebook ``examples/research.ipynb`` and the recording that it reads.

``python -m tests.support.research`` makes both anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.machinery import busy_market
from tests.support.notebooks import EXAMPLES, keep

__all__ = ["NOTEBOOK", "RECORDING"]

NOTEBOOK: Final = EXAMPLES / "research.ipynb"
RECORDING: Final = Path(__file__).parents[1] / "recording" / "market.rec"
_UPDATES: Final = 6000
_RATE: Final = 10.0  # ten minutes


def main() -> None:
    RECORDING.unlink(missing_ok=True)
    busy_market.write(RECORDING, _UPDATES, rate=_RATE)
    keep(NOTEBOOK)


if __name__ == "__main__":
    main()
