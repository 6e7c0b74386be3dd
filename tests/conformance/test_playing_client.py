"""Scripts against an exchange that goes on after each of them, over real sockets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.conformance import ExchangeUnderTest, NoControl, Outcome, Result, parse_script, run_script
from cryptoproto.exchange import Exchange
from cryptoproto.transport import opener
from tests.support.conformance import BALANCES

pytestmark = pytest.mark.usefixtures("clean_loop")
Keys = Mapping[str, cp.PrivateKey]


async def run(steps: str, exchange: Exchange, clients: Keys, **changed: Any) -> Result:
    script = parse_script(f"Title: t\nChecks: c\nPeer: exchange\n\n{steps}", name="n", file="f")
    fields: dict[str, Any] = {
        "url": exchange.url, "market_data_url": exchange.market_data_url, "server_key": exchange.public_key,
        "clients": clients, "opener": opener("websockets"), "control": NoControl(),
    }  # fmt: skip
    return await run_script(script, cp.Protocol.V5, ExchangeUnderTest(**(fields | changed)))


async def test_orders_that_a_script_leaves_open_are_cancelled(keys: Keys) -> None:
    async with Exchange(private_key=keys["exchange"]) as exchange:
        exchange.register("alice", keys["alice"].public_key, BALANCES)
        steps = "connect alice\n> PlaceBuyLimitOrder trade_pair=BTC_USD amount=1 price=100\n<< event BuyOrderPlaced"
        for _ in range(2):
            assert (await run(steps, exchange, keys)).outcome is Outcome.PASSED
            assert exchange.open_orders("alice").order_books == {}


async def test_what_is_missing_skips_the_script(keys: Keys) -> None:
    async with Exchange(private_key=keys["exchange"]) as exchange:
        exchange.register("alice", keys["alice"].public_key, BALANCES)
        for steps, changed, words in (
            ("connect carol\n< close", {}, "--client carol=FILE"),
            ("watch feed\n< version", {"market_data_url": ""}, "--market-data-url"),
            ("do restart\n< close", {}, "nobody can restart this peer"),
        ):
            result = await run(steps, exchange, keys, **changed)
            assert result.outcome is Outcome.SKIPPED
            assert words in result.reason


async def test_a_client_that_the_exchange_does_not_know(keys: Keys) -> None:
    async with Exchange(private_key=keys["exchange"]) as exchange:
        result = await run("connect alice\n< close", exchange, keys)
        assert result.outcome is Outcome.FAILED
        assert "expected the hello of the exchange, got close 1008" in result.reason


async def test_an_exchange_that_is_gone(keys: Keys) -> None:
    async with Exchange(private_key=keys["exchange"]) as exchange:
        pass
    result = await run("connect alice\n< close", exchange, keys)
    assert result.outcome is Outcome.FAILED
    assert any("cleaning up failed" in line for line in result.transcript)


async def test_a_restart_with_a_journal(keys: Keys, memory_path: Any) -> None:
    """On real sockets and with a real file: what is promised over restarts holds for the durable exchange, too."""
    from cryptoproto.conformance import load_scripts
    from tests.support.conformance import Operator

    operator = Operator(keys, path=memory_path / "exchange.db")
    async with operator.exchange as exchange:
        peer = ExchangeUnderTest(
            exchange.url, exchange.market_data_url, exchange.public_key, keys, opener("websockets"), operator
        )
        for number, script in enumerate(load_scripts(peer="exchange", only=["exchange/restarts/*"])):
            result = await run_script(script, cp.Protocol.V5, peer, first_fresh=100 * number)
            assert result.outcome is Outcome.PASSED, (script.name, result.reason)
