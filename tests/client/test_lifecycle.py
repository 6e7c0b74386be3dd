"""The order in which a client is started and closed, and what is closed where starting fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.lifecycle import Lifecycle
from cryptoproto.connection import ConnectOptions


class Parts:
    """All parts of a client: they note what is called, and fail where a test says."""

    def __init__(self, key: cp.PrivateKey) -> None:
        self.calls: list[str] = []
        self.failing = ""
        self.error: cp.CryptoprotoError | None = None
        options = ConnectOptions(url="ws://127.0.0.1:1", client_id="alice", private_key=key, server_key=key.public_key)
        parts: list[Any] = [_Part(self, name) for name in ("store", "reports", "entry", "events", "link", "cancels")]
        self.lifecycle = Lifecycle(options, *parts)


class _Part:
    def __init__(self, parts: Parts, name: str) -> None:
        self._parts = parts
        self._name = name

    @property
    def error(self) -> cp.CryptoprotoError | None:
        return self._parts.error

    def __getattr__(self, method: str) -> Any:
        call = f"{self._name}.{method}"

        def plain(*arguments: Any) -> None:
            self._parts.calls.append(call)
            if call == self._parts.failing:
                raise cp.StoreError("the disk is full")

        async def slow(*arguments: Any) -> None:
            plain()
            await asyncio.sleep(0)

        return slow if call in ("link.settled", "link.close", "cancels.cancel") else plain


ENDING = ["cancels.cancel", "link.close", "entry.close", "events.end", "cancels.finish", "store.close"]


async def test_a_store_that_cannot_be_read_is_closed(alice_key: cp.PrivateKey) -> None:
    parts = Parts(alice_key)
    parts.failing = "entry.restore"
    with pytest.raises(cp.StoreError):
        await parts.lifecycle.start()
    assert parts.calls == ["store.open", "store.watch", "entry.restore", "store.close"]


async def test_everything_is_closed_if_no_retry_can_succeed(alice_key: cp.PrivateKey) -> None:
    parts = Parts(alice_key)
    parts.error = cp.InvalidKey("not registered")
    with pytest.raises(cp.InvalidKey):
        await parts.lifecycle.start()
    assert parts.calls[-7:] == ["link.settled", *ENDING]


async def test_everything_is_closed_if_starting_is_cancelled(alice_key: cp.PrivateKey) -> None:
    parts = Parts(alice_key)
    start = asyncio.ensure_future(parts.lifecycle.start())
    await asyncio.sleep(0)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert parts.calls[-7:] == ["link.settled", *ENDING]


async def test_everything_else_is_closed_if_cancelling_fails(alice_key: cp.PrivateKey) -> None:
    parts = Parts(alice_key)
    parts.failing = "cancels.cancel"
    with pytest.raises(cp.StoreError):
        await parts.lifecycle.close(1.0)
    assert parts.calls == ENDING
