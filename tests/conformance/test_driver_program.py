"""The driver as a program: lines in, lines out."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

import cryptoproto as cp
from cryptoproto.conformance import drive
from cryptoproto.exchange import Exchange
from tests.support.conformance import BALANCES

pytestmark = pytest.mark.usefixtures("clean_loop")


async def test_a_whole_session(keys: dict[str, cp.PrivateKey], tmp_path: Path) -> None:
    keys["alice"].save(tmp_path / "client.pem")
    keys["exchange"].public_key.save(tmp_path / "exchange.pub")
    reader = asyncio.StreamReader()
    lines: asyncio.Queue[dict[str, object]] = asyncio.Queue()

    def write(line: bytes) -> None:
        assert line.endswith(b"\n")
        lines.put_nowait(msgspec.json.decode(line))

    async def until(**wanted: object) -> None:
        async with asyncio.timeout(20):
            while not wanted.items() <= (await lines.get()).items():
                pass

    def say(action: dict[str, object]) -> None:
        reader.feed_data(msgspec.json.encode(action) + b"\n")

    async with Exchange(private_key=keys["exchange"]) as exchange:
        exchange.register("alice", keys["alice"].public_key, BALANCES)
        program = asyncio.create_task(drive(reader, write))
        say({
            "do": "connect", "url": exchange.url, "client_id": "alice", "protocol": "v5", "resume": 0,
            "private_key": str(tmp_path / "client.pem"), "server_key": str(tmp_path / "exchange.pub"),
        })  # fmt: skip
        await until(report="connected", last_sequence=0)
        say({"do": "send", "message": {"@type": "CancelOrder", "order_id": 5}})
        await until(report="event", transaction=1, message={"@type": "OrderNotFound", "order_id": 5})
        say({"do": "request", "message": {"@type": "UserOrdersRequest"}, "tag": "a"})
        await until(report="response", tag="a", message={"@type": "UserOrdersResponse", "order_books": {}})
        say({"do": "close"})
        await until(report="ended", reason="closed here")
        say({"do": "dance"})
        await until(unsupported="this client cannot dance")
        reader.feed_data(b"not JSON\n")
        assert "error" in await lines.get()
        say({"do": "connect"})
        await until(error="the action connect needs 'private_key'")
        reader.feed_eof()
        await program
