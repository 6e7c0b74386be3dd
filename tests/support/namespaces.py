"""Hosts of a network: a namespace for each, joined by a bridge, with a link that can be taken down. Needs root."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

__all__ = ["Network", "can_make_networks"]

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def can_make_networks() -> bool:
    """Whether this process may create namespaces, bridges and links."""
    if not hasattr(os, "geteuid") or os.geteuid() or shutil.which("ip") is None:
        return False
    name = f"cp{os.getpid()}try"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return False
    made = subprocess.run(["ip", "link", "add", name, "type", "bridge"], capture_output=True, check=False).returncode
    subprocess.run(["ip", "link", "del", name], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return not made


class Network:
    """Hosts by name; this process is on the bridge between them."""

    def __init__(self, hosts: Sequence[str]) -> None:
        number = os.getpid() % 250
        self._prefix = f"10.213.{number}"
        self._mark = f"cp{os.getpid()}"
        self._numbers = {host: number for number, host in enumerate(hosts, 2)}

    @classmethod
    @contextmanager
    def of(cls, *hosts: str) -> Iterator[Self]:
        network = cls(hosts)
        with ExitStack() as stack:
            bridge = f"{network._mark}b"
            _ip("link", "add", bridge, "type", "bridge")
            stack.callback(_ip, "link", "del", bridge)
            _ip("addr", "add", f"{network._prefix}.1/24", "dev", bridge)
            _ip("link", "set", bridge, "up")
            for host in hosts:
                name, link = network._namespace(host), network._link(host)
                _ip("netns", "add", name)
                stack.callback(_ip, "netns", "del", name)  # and its end of the link, and so the other one
                _ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
                _ip("link", "set", link, "master", bridge, "up")
                _ip("-n", name, "addr", "add", f"{network.address(host)}/24", "dev", "eth0")
                for device in ("lo", "eth0"):
                    _ip("-n", name, "link", "set", device, "up")
            yield network

    def address(self, host: str) -> str:
        return f"{self._prefix}.{self._numbers[host]}"

    def command(self, host: str) -> tuple[str, ...]:
        """What to put before a command line, to run it on *host*."""
        return ("ip", "netns", "exec", self._namespace(host))

    def take_down(self, host: str) -> None:
        """Nothing arrives at *host* any more, or from there."""
        _ip("link", "set", self._link(host), "down")

    def bring_up(self, host: str) -> None:
        _ip("link", "set", self._link(host), "up")

    @contextmanager
    def on(self, host: str) -> Iterator[None]:
        """Sockets that this thread makes in the block are on *host*."""
        with Path("/proc/thread-self/ns/net").open() as here, Path("/run/netns", self._namespace(host)).open() as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(here.fileno())

    def _namespace(self, host: str) -> str:
        return f"{self._mark}n{self._numbers[host]}"

    def _link(self, host: str) -> str:
        return f"{self._mark}v{self._numbers[host]}"


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
