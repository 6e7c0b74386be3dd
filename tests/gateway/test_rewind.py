"""An exchange that was restored from a backup ends the gateway and its strategies, and they say what to do."""

from __future__ import annotations

import asyncio

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.gateway import Gateway, GatewayClient
from cryptoproto.gateway.names import Names
from cryptoproto.gateway.rewind import rewound_for_all
from tests.support.nats_server import NatsServer
from tests.support.pairs import kept_port


def test_what_to_do_is_said_for_the_gateway() -> None:
    error = rewound_for_all(cp.HistoryRewound(8, 5, "sequence"), Names("alice"))
    assert (error.position, error.exchange_position, error.what) == (8, 5, "sequence")
    assert error.reason.endswith(f"then {error.remedy}")
    assert "delete the NATS streams " in error.remedy
    assert Names("alice").events_stream in error.remedy
    assert Names("alice").log_stream in error.remedy
    assert "each strategy with a new store" in error.remedy


def restored(keys: dict[str, cp.PrivateKey], port: int) -> Exchange:
    exchange = Exchange(private_key=keys["exchange"], port=port)
    exchange.register("alice", keys["alice"].public_key, balances={"USD": "1000000"})
    return exchange


async def test_a_restored_exchange_ends_the_gateway_and_its_strategies(
    nats: NatsServer, keys: dict[str, cp.PrivateKey]
) -> None:
    with kept_port() as port:
        exchange = restored(keys, port)
        await exchange.start()

        def process() -> Gateway:
            return Gateway(
                nats.url,
                url=exchange.url,
                client_id="alice",
                private_key=keys["alice"],
                server_key=exchange.public_key,
                lease_s=20,
                backoff=cp.Backoff(initial=0.01, cap=0.05),
            )

        gateway = process()
        async with gateway, GatewayClient(nats.url, client_id="alice", strategy="mm1") as client:
            await client.place("BTC_USD", "buy", amount="1", price="15000", wait=True)
            events = client.events()
            assert isinstance((await anext(events)).message, cp.SetBalance)
            await exchange.close()
            async with restored(keys, port), asyncio.timeout(10):
                with pytest.raises(cp.HistoryRewound, match="delete the NATS streams") as caught:
                    await gateway.wait_closed()
                with pytest.raises(cp.HistoryRewound) as told:
                    async for _ in events:
                        pass
                assert str(told.value) == str(caught.value)
                assert client.state.state is cp.State.CLOSED
                assert str(client.state.error) == str(caught.value)
                with pytest.raises(cp.ClientClosed, match="history was rewound"):
                    await client.place("BTC_USD", "buy", amount="1", price="15000")
                async with process() as standby:  # which might not notice it itself
                    with pytest.raises(cp.HistoryRewound, match="delete the NATS streams"):
                        await standby.wait_closed()
