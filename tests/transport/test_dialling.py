"""TCP connections: the next address is tried, and nothing is left open."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from cryptoproto.transport.dialling import connected_socket


def resolve(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Have every name stand for *addresses*."""

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)


async def test_the_first_address_that_answers_is_used(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        resolve(monkeypatch, ("127.0.0.1", unused_tcp_port), server.getsockname())
        with await connected_socket("example.com", 443) as made:
            assert made.getpeername() == server.getsockname()


async def test_the_error_is_that_of_the_last_address(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    resolve(monkeypatch, ("127.0.0.1", unused_tcp_port), ("127.0.0.1", unused_tcp_port))
    with pytest.raises(ConnectionRefusedError):
        await connected_socket("example.com", 443)
    resolve(monkeypatch)
    with pytest.raises(OSError, match=r"example\.com has no address"):
        await connected_socket("example.com", 443)


async def test_cancelling_closes_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()

    async def connect(made: socket.socket, address: object) -> None:
        begun.set_result(made)
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect)
    connecting = asyncio.ensure_future(connected_socket("127.0.0.1", 1))
    made = await begun
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert made.fileno() == -1
