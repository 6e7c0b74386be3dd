"""Counts the calls of an order: ``python -m benchmarks.hops``.

A client places an order with an exchange in another thread. ``sys.setprofile`` notes every call into the package in the
client's thread, so only the client's own calls count: from ``place()`` to the sealed frame, and from the first frame of
the answer until ``place()`` returns.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any, Final, NamedTuple

import cryptoproto as cp
from cryptoproto.exchange import Exchange

__all__ = ["Call", "answer", "calls_of_an_order", "request"]

_PACKAGE: Final = str(Path(cp.__file__).parent)


class Call(NamedTuple):
    """One call into the package: how deep it stands below other calls of the package, its file, and its name."""

    depth: int
    file: str
    name: str


async def calls_of_an_order(protocol: cp.Protocol = cp.Protocol.V5) -> list[Call]:
    """The client's calls for one order, in order."""
    key = cp.PrivateKey.generate()
    serving = _Serving(key.public_key)
    url, server_key = await asyncio.to_thread(serving.start)
    calls: list[Call] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(_PACKAGE):
            file = str(Path(frame.f_code.co_filename).relative_to(_PACKAGE))
            calls.append(Call(_depth(frame), file, frame.f_code.co_qualname))

    try:
        async with cp.Client(
            url, client_id="alice", private_key=key, server_key=server_key, protocol=protocol
        ) as client:
            await client.place("BTC_USD", cp.Side.BUY, amount="1", price="10")
            sys.setprofile(note)
            await client.place("BTC_USD", cp.Side.BUY, amount="1", price="11")
            sys.setprofile(None)
    finally:
        sys.setprofile(None)
        await asyncio.to_thread(serving.stop)
    return calls


def request(calls: list[Call]) -> list[Call]:
    """The calls up to the sealed frame."""
    end = max(number for number, call in enumerate(calls) if call.name.endswith("writer.<locals>.write"))
    return calls[: end + 1]


def answer(calls: list[Call]) -> list[Call]:
    """The calls from the first frame of the answer on."""
    start = next(number for number, call in enumerate(calls) if call.name.endswith("on_ws_frame"))
    return calls[start:]


def _depth(frame: FrameType | None) -> int:
    depth = 0
    while frame is not None:
        depth += frame.f_code.co_filename.startswith(_PACKAGE)
        frame = frame.f_back
    return depth


class _Serving:
    """An exchange in a separate thread."""

    def __init__(self, client_key: cp.PublicKey) -> None:
        self._client_key = client_key
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._where: tuple[str, cp.PublicKey] | None = None
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))

    def start(self) -> tuple[str, cp.PublicKey]:
        self._thread.start()
        self._ready.wait()
        if self._where is None:
            raise RuntimeError("the exchange did not start")
        return self._where

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        try:
            async with Exchange() as exchange:
                exchange.register("alice", self._client_key, balances={"USD": "1000000"})
                self._where = exchange.url, exchange.public_key
                self._ready.set()
                await self._over.wait()
        finally:
            self._ready.set()


def main() -> None:
    """Print the two lists and how long they are."""
    calls = asyncio.run(calls_of_an_order())
    for title, part in (("from place() to the wire", request(calls)), ("from the wire to the answer", answer(calls))):
        files = len({call.file for call in part})
        depth = max(call.depth for call in part) - min(call.depth for call in part) + 1
        print(f"{title}: {len(part)} calls in {files} files, at most {depth} deep")
        for call in part:
            print(f"  {'· ' * (call.depth - 1)}{call.name}  ({call.file})")


if __name__ == "__main__":
    main()
