"""The code on the page about recordings runs, block after block, against an exchange."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import AsyncIterator
from contextlib import chdir
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange

PAGE = Path(__file__).parents[2] / "docs" / "recording.md"
BLOCKS = re.findall(r'^```python title="[^"]+"\n(.*?)^```$', PAGE.read_text(), re.MULTILINE | re.DOTALL)


@pytest.fixture
async def url(alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> AsyncIterator[str]:
    """The market data of an exchange on which two clients trade all the time."""

    async def trade(client: cp.Client, side: str) -> None:
        while True:
            await client.place("BTC_USD", side, amount="0.01", price="15000")

    async with Exchange(private_key=exchange_key, book_interval=0.001) as exchange:
        names = ("alice", "bob")
        for name in names:
            exchange.register(name, alice_key.public_key, balances={"USD": "1000000", "BTC": "100"})
        clients = [
            cp.Client(exchange.url, client_id=name, private_key=alice_key, server_key=exchange.public_key)
            for name in names
        ]
        async with clients[0], clients[1]:
            for number in range(5):
                await clients[1].place("BTC_USD", "sell", amount="1", price=15_010 + number)
            trading = [asyncio.ensure_future(trade(*each)) for each in zip(clients, ("buy", "sell"), strict=True)]
            yield exchange.market_data_url
            for task in trading:
                task.cancel()
            await asyncio.wait(trading)


async def test_the_code_on_the_page_runs(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"url": url}
    printed = []
    with chdir(tmp_path):
        for block in BLOCKS:
            code = compile(block, PAGE.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            async with asyncio.timeout(60):
                running = eval(code, names)  # noqa: S307, RUF100 - it is our own text
                if inspect.isawaitable(running):
                    await running
            printed.append(capsys.readouterr().out)
    recorded, played, bot, tested, candles = printed
    assert "updates" in recorded
    assert played.startswith("1 ")
    assert bot == ""
    assert int(tested.split()[0]) > 0
    assert "15000" in candles
