"""How fast cryptoproto is, as ratios measured on one machine in one run: ``python -m benchmarks``.

- ``rows/`` holds what is measured. A row's file has the row's name: ``decode`` and ``decode-obvious`` are in
  ``rows/decode.py``, ``client-sqlite-growth`` is in ``rows/client_sqlite.py``.
- ``curves/`` holds what ``python -m benchmarks.report`` draws besides.
- ``baselines/`` holds what the rows compare cryptoproto with.
- ``machinery/`` runs the rows: it starts processes, takes the times, prints the results, and writes them into the
  documentation with ``--record``.

``benchmarks.exchange``, ``benchmarks.journal``, ``benchmarks.handshakes``, ``benchmarks.apikeys`` and
``benchmarks.licensing`` are separate commands with the same options, because their rows take long or need further
extras.
"""

from __future__ import annotations

from .machinery.report import Row
from .suite import MEASUREMENTS

__all__ = ["MEASUREMENTS", "Row"]
