"""Stands in for a program that ``tests.support.fork_server`` runs: ``python -I -S fork_client.py SOCKET ARGUMENT …``.

It passes its standard streams there and the signals that it gets, and ends as the program does. If it is killed, so
is the program. It imports as little as it can, because its start is what the whole thing saves.
"""

from __future__ import annotations

import marshal
import os
import signal
import socket
import sys
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main() -> None:
    path, *arguments = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        request = marshal.dumps((arguments, os.getcwd(), dict(os.environ)))
        socket.send_fds(server, [len(request).to_bytes(4, "big")], [0, 1, 2])
        server.sendall(request)
        pid = number(server)

        def forward(signal_number: int, frame: FrameType | None) -> None:
            os.kill(pid, signal_number)

        for each in SIGNALS:
            signal.signal(each, forward)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        status = number(server)
    if os.WIFSIGNALED(status):
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    sys.exit(os.waitstatus_to_exitcode(status))


def number(server: socket.socket) -> int:
    data = server.recv(4, socket.MSG_WAITALL)
    if len(data) < 4:
        sys.exit("the process that forks has gone")
    return int.from_bytes(data, "big")


if __name__ == "__main__":
    main()
