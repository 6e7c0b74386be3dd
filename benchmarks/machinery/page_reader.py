"""A process that reads the events of a status page, as a browser would, and prints how far apart they were.

``python -m benchmarks.machinery.page_reader URL`` reads until the server closes, and prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import pairwise
from urllib.request import ProxyHandler, build_opener

__all__ = ["main"]


def main(url: str) -> None:
    """Read *url* to its end."""
    with build_opener(ProxyHandler({})).open(url) as answer:
        print("{}", flush=True)
        arrivals = [time.monotonic_ns() for line in answer if line.startswith(b"event: ")]
    gaps_ms = sorted((later - earlier) / 1e6 for earlier, later in pairwise(arrivals))
    print(json.dumps({"updates": len(arrivals), "p90_ms": gaps_ms[len(gaps_ms) * 9 // 10], "longest_ms": gaps_ms[-1]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
