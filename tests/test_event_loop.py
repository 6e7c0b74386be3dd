"""The event loop that ``run()`` chooses."""

from __future__ import annotations

import asyncio
import sys

import pytest

import cryptoproto as cp
from cryptoproto.exchange import Exchange


async def loop_name() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


@pytest.mark.parametrize("uvloop", [None, True])
def test_uvloop_is_taken_if_it_is_there(uvloop: bool | None) -> None:
    pytest.importorskip("uvloop")
    assert cp.run(loop_name(), uvloop=uvloop) == "uvloop"


def test_uvloop_can_be_declined() -> None:
    assert cp.run(loop_name(), uvloop=False) == "asyncio"


def test_without_uvloop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert cp.run(loop_name()) == "asyncio"
    with pytest.raises(cp.ConfigurationError, match=r"pip install 'cryptoproto\[fast\]'"):
        cp.run(loop_name(), uvloop=True)


def test_debug_mode_is_passed_on() -> None:
    async def is_debugged() -> bool:
        return asyncio.get_running_loop().get_debug()

    assert cp.run(is_debugged(), debug=True)
    assert not cp.run(is_debugged(), debug=False)


@pytest.mark.parametrize("transport", ["websockets", "picows"])
@pytest.mark.parametrize("uvloop", [True, False])
def test_a_client_trades_on_either_loop(uvloop: bool, transport: cp.TransportKind, alice_key: cp.PrivateKey) -> None:
    pytest.importorskip("uvloop")
    pytest.importorskip("picows")

    async def trade() -> list[str]:
        async with Exchange(transport=transport) as exchange:
            exchange.register("alice", alice_key.public_key, balances={"USD": "1000"})
            async with cp.Client(
                exchange.url,
                client_id="alice",
                private_key=alice_key,
                server_key=exchange.public_key,
                transport=transport,
            ) as client:
                events = client.events()
                order = await client.place("BTC_USD", "buy", amount="1", price="100")
                await client.cancel(order)
                return [type((await anext(events)).message).__name__ for _ in range(4)]

    assert cp.run(trade(), uvloop=uvloop) == ["SetBalance", "BuyOrderPlaced", "BuyOrderCancelled", "SetBalance"]
