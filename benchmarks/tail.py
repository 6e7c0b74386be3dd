"""10,000 events a second, and how long they took, to p99.99.

``python -m benchmarks.tail [--minutes N] [--receiver KIND] [--uvloop]``
"""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from .machinery.processes import responder
from .machinery.ticks import KINDS, RATE, receive_ticks

__all__ = ["main"]

_SINCE = {
    "due": "from the moment at which it was due",
    "sent": "from the moment at which it was sent",
    "kernel": "from the kernel's timestamp",
}
_COLUMNS = ("p50", "p99", "p999", "p9999", "max")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tail", description="Measure the slowest events.")
    parser.add_argument("--minutes", type=float, default=0.2, help="how long each of the receivers takes")
    parser.add_argument("--uvloop", action="store_true", help="use uvloop instead of asyncio's own event loop")
    parser.add_argument("--receiver", choices=KINDS, action="append", help="one of the receivers; repeat for more")
    options = parser.parse_args()
    count = int(options.minutes * 60 * RATE)
    if count < 1:
        parser.error("--minutes must be more than 0")
    table = Table(title=f"{count:,} events at {RATE:,} a second, microseconds")
    for column in ("receiver", "latency", *_COLUMNS, "p99.9 / p50"):
        table.add_column(column)
    with responder(uvloop=options.uvloop) as server:
        for kind in options.receiver or KINDS:
            measured = receive_ticks(server, kind, count)
            for since, words in _SINCE.items():
                if f"{since}_p50_us" in measured:
                    values = [measured[f"{since}_{column}_us"] for column in _COLUMNS]
                    ratio = measured[f"{since}_p999_us"] / measured[f"{since}_p50_us"]
                    table.add_row(kind, words, *(f"{value:,.0f}" for value in values), f"{ratio:.1f}")
            if "gc_longest_us" in measured:
                longest, total = measured["gc_longest_us"], measured["gc_total_us"]
                table.add_row(kind, f"longest of the garbage collector's runs: {longest:,.0f}, all: {total:,.0f}")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
