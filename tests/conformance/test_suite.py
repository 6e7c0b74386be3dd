"""Many scripts against one peer."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.conformance import ExchangeUnderTest, NoControl, Outcome, load_scripts, run_scripts
from cryptoproto.exchange import Exchange
from cryptoproto.transport import opener
from tests.support.conformance import BALANCES

pytestmark = pytest.mark.usefixtures("clean_loop")


async def test_each_run_has_its_own_client_order_ids(keys: dict[str, cp.PrivateKey]) -> None:
    scripts = load_scripts(peer="exchange", only=["exchange/errors/duplicate*", "exchange/handshake/v5*"])
    async with Exchange(private_key=keys["exchange"]) as exchange:
        for name in ("alice", "bob"):
            exchange.register(name, keys[name].public_key, BALANCES)
        peer = ExchangeUnderTest(exchange.url, "", exchange.public_key, keys, opener("websockets"), NoControl())
        both = [result async for result in run_scripts(scripts, peer)]
        v5 = [result async for result in run_scripts(scripts, peer, protocols=[cp.Protocol.V5], first_fresh=10_000)]
    assert [result.outcome for result in both + v5] == [Outcome.PASSED] * 8
    assert [result.protocol.value for result in both] == ["signed", "v5", "signed", "v5", "v5"]
