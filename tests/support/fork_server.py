"""A process that imports MODULES and forks others: ``python -m tests.support.fork_server SOCKET MODULE …``.

Each connection to the socket brings a program, as ``tests/support/fork_client.py`` sends it. For each
there are two processes: the program, and a keeper that tells its pid and then how it ended. It ends with its
standard input.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import marshal
import os
import runpy
import select
import signal
import socket
import sys
import threading
from types import ModuleType
from typing import Any


def serve(path: str) -> list[str]:
    """Take connections until the input ends; returns only in a process that is a program: its arguments."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to everybody; the programs have their own
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        os.write(1, b"ready\n")
        while True:
            readable, _, _ = select.select([0, listener.fileno()], [], [])
            reap()
            if 0 in readable:
                sys.exit()
            connection, _ = listener.accept()
            if not os.fork():
                break
            connection.close()
    with connection:
        return keep(connection)


def reap() -> None:
    """Forget the keepers that have ended; that counts what they and their programs computed, too."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def keep(connection: socket.socket) -> list[str]:
    """Fork the program; returns only in it."""
    length, streams, _, _ = socket.recv_fds(connection, 4, 3)
    request = connection.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)
    pid = os.fork()
    if pid:
        for stream in (0, 1, 2, *streams):
            os.close(stream)
        connection.sendall(pid.to_bytes(4, "big"))
        threading.Thread(target=kill_when_deserted, args=(connection, pid), daemon=True).start()
        _, status = os.waitpid(pid, 0)
        connection.sendall(status.to_bytes(4, "big"))
        os._exit(0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    arguments, folder, environment = marshal.loads(request)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return list(arguments)


def kill_when_deserted(connection: socket.socket, pid: int) -> None:
    connection.recv(1)  # nothing comes but the end
    os.kill(pid, signal.SIGKILL)


def run(arguments: list[str]) -> None:
    """Run a program as ``python *arguments`` does."""
    kind, *rest = arguments
    if kind == "-m":
        sys.argv = rest
        sys.path[0] = os.getcwd()
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = arguments[:1] + rest[1:]
        sys.path[0] = ""
        main = sys.modules["__main__"] = ModuleType("__main__")
        names: dict[str, Any] = main.__dict__
        exec(compile(rest[0], "<string>", "exec"), names)
    else:
        sys.argv = arguments
        sys.path[0] = os.path.dirname(kind)
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__":
    for name in sys.argv[2:]:
        with contextlib.suppress(ModuleNotFoundError):  # a program that needs it says so
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    run(serve(sys.argv[1]))
