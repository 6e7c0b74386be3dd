"""Sends at a steady rate from a thread, whether or not the other end keeps up, and notes when it really did.

A sender that waits for the receiver would leave out the moments that matter, when the receiver is slow.
"""

from __future__ import annotations

import array
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

__all__ = ["TICKS", "send_ticks", "start_ticks"]

TICKS: Final = "ticks"
"""The file of the moments at which each was sent, as doubles."""


def start_ticks(
    connected: socket.socket, rate: float, count: int, make: Callable[[int, float], bytes], folder: Path
) -> threading.Thread:
    """Send from a thread, see :func:`send_ticks`; the descriptor is copied first."""
    copy = socket.socket(fileno=os.dup(connected.fileno()))
    thread = threading.Thread(target=send_ticks, args=(copy, rate, count, make, folder), daemon=True)
    thread.start()
    return thread


def send_ticks(
    connected: socket.socket, rate: float, count: int, make: Callable[[int, float], bytes], folder: Path
) -> None:
    """Send *count* messages, each at its time, and write down when it was sent.

    Args:
        connected: where to; it is closed afterwards.
        rate: messages a second.
        count: how many.
        make: returns message *number*, from 0, for the moment at which it is due. All moments are those of
            ``time.monotonic()``, which has the same value in all processes.
        folder: where to write the file.
    """
    sent = array.array("d", bytes(8 * count))
    begin = time.monotonic() + 0.05
    with connected:
        for number in range(count):
            due = begin + number / rate
            message = make(number, due)
            if (early := due - time.monotonic()) > 0:
                time.sleep(early)  # until it is due, in a thread that does nothing else
            sent[number] = time.monotonic()
            _send(connected, message)
    (folder / TICKS).write_bytes(sent.tobytes())


def _send(connected: socket.socket, message: bytes) -> None:
    while message:
        try:
            message = message[connected.send(message) :]
        except BlockingIOError:
            select.select([], [connected], [])
