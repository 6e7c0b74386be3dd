"""Run simulated worlds: ``python -m tests.support.simulation --seeds 100 --start 0``."""

from __future__ import annotations

import sys

from tests.support.simulation.command import main

sys.exit(main())
