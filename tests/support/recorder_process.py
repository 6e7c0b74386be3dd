"""A recorder in its own process, to be killed: ``python -m tests.support.recorder_process RECORDING``.

Each line on the standard input is a seed; see ``tests/support/lives.py``. It records the market of that seed, and tells
how many updates it has given to the recorder before each block, and how many are on disk after it.
"""

from __future__ import annotations

import random
import sys
import time
from typing import Any, BinaryIO, Self

import cryptoproto as cp
from cryptoproto.recording import recording_file
from tests.support.lives import fork_for_each_line, tell
from tests.support.recordings import Market, PushFeed

MOST_IN_A_BLOCK = 40


class SlowFile:
    """A file on a slow disk that takes a few bytes at a time, so that a kill strikes within a block."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: memoryview) -> int:
        time.sleep(0.0002)
        return self._file.write(data[:16])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def slow_open(path: str, mode: str, **options: Any) -> Any:
    file: Any = open(path, mode, **options)  # noqa: SIM115
    return SlowFile(file) if mode == "ab" else file


def main() -> None:
    vars(recording_file)["open"] = slow_open

    async def record(seed: str) -> None:
        draw = random.Random(int(seed))
        market = iter(Market(int(seed)))
        async with PushFeed() as feed, cp.record(feed, sys.argv[1]) as recorder:
            tell(given=0)
            while True:
                feed.push(*(next(market) for _ in range(draw.randrange(1, MOST_IN_A_BLOCK))))
                tell(given=recorder.updates)
                await recorder.flush()
                tell(kept=recorder.updates)

    fork_for_each_line(record)


if __name__ == "__main__":
    main()
