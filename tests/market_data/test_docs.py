"""What the documentation and the example of market data say is run against an exchange."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import inspect
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from tests.support.scripted_feed import FeedServer
from tests.support.virtual_time import virtual

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(
    r'^```python title="[^"]+"\n(.*?)^```$', (ROOT / "docs/market-data.md").read_text(), re.MULTILINE | re.DOTALL
)


@pytest.fixture
async def exchange(alice_key: cp.PrivateKey, exchange_key: cp.PrivateKey) -> AsyncIterator[Exchange]:
    """An exchange on which somebody trades all the time."""

    async def trade(connection: cp.Connection) -> None:
        while True:
            for placing in (cp.PlaceBuyLimitOrder, cp.PlaceSellLimitOrder):
                await connection.send(placing(trade_pair="BTC_USD", amount="0.01", price="15000"))
            await asyncio.sleep(0.01)

    async with Exchange(private_key=exchange_key, book_interval=0.001) as exchange:
        exchange.register("alice", alice_key.public_key, balances={"USD": "1000000", "BTC": "100"})
        exchange.register("bob", alice_key.public_key, balances={"USD": "1000000", "BTC": "100"})
        async with (
            cp.connect(
                exchange.url, client_id="alice", private_key=alice_key, server_key=exchange.public_key,
                protocol=cp.Protocol.V5, on_event=lambda event: None,
            ) as alice,
            cp.connect(
                exchange.url, client_id="bob", private_key=alice_key, server_key=exchange.public_key,
                protocol=cp.Protocol.V5, on_event=lambda event: None,
            ) as bob,
        ):  # fmt: skip
            trading = [asyncio.ensure_future(trade(each)) for each in (alice, bob)]
            yield exchange
            for task in trading:
                task.cancel()
            await asyncio.wait(trading)


def test_there_is_something_to_run() -> None:
    assert len(BLOCKS) == 3


@pytest.mark.parametrize("block", BLOCKS)
async def test_the_code_in_the_documentation_runs(
    block: str, exchange: Exchange, capsys: pytest.CaptureFixture[str]
) -> None:
    code = compile(block, "docs/market-data.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    async with asyncio.timeout(10):
        running = eval(code, {"url": exchange.market_data_url})  # noqa: S307, RUF100 - it is our own text
        assert inspect.isawaitable(running)
        await running
    printed = capsys.readouterr().out
    assert printed
    assert "better not" not in printed


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def test_the_example_watches_a_book(exchange: Exchange, capsys: pytest.CaptureFixture[str]) -> None:
    watch_book = example("watch_book")
    async with asyncio.timeout(10):
        await watch_book.watch(exchange.market_data_url, "BTC_USD", updates=40)
    printed = capsys.readouterr().out
    assert "[live]" in printed
    assert printed.endswith("[closed] closed by this end\n")
    assert re.search(r"^BTC_USD   .*\|", printed, re.MULTILINE)
    assert re.search(r"^\d\d:\d\d:\d\d\.\d{6}  0\.01000000 (sold|bought).* at 15000\.00000000$", printed, re.MULTILINE)


@virtual
async def test_the_example_ends_with_the_reason() -> None:
    server = FeedServer(lambda peer: peer.hello(2))
    watch_book = example("watch_book")
    feed = server.feed()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cp, "MarketData", lambda *_, **__: feed)
        with pytest.raises(cp.UnsupportedVersion):
            await watch_book.watch("ws://localhost", "BTC_USD")


def test_the_example_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    watch_book = example("watch_book")
    monkeypatch.setattr("sys.argv", ["watch_book.py", "ws://example.com"])
    with pytest.raises(SystemExit) as exit_:
        watch_book.main()
    assert exit_.value.code == 1
    assert "use wss://" in capsys.readouterr().err
