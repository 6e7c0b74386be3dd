"""A process that reads the events of a status page, as a browser would, and prints how far apart they were.

``python -m benchmarks.machinery.page_reader URL`` reads until the server closes, and prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from urllib.request import ProxyHandler, build_opener

__all__ = ["main"]


def main(url: str) -> None:
    """Read *url* to its end."""
    events, size, longest_ns, last_ns = 0, 0, 0, 0
    with build_opener(ProxyHandler({})).open(url) as answer:
        print("{}", flush=True)
        for line in answer:
            size += len(line)
            if line.startswith(b"event: changes"):
                now_ns = time.monotonic_ns()
                if events:
                    longest_ns = max(longest_ns, now_ns - last_ns)
                events, last_ns = events + 1, now_ns
    print(json.dumps({"events": events, "bytes": size, "longest_ms": longest_ns / 1e6}))


if __name__ == "__main__":
    main(*sys.argv[1:])
