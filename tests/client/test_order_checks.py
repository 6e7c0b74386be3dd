"""Orders that rules or limits do not allow are refused before anything is sent."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.client.order_checks import OrderChecks
from cryptoproto.exchange import Exchange
from tests.support.lines import Line, client_of, patient, trader, until_state
from tests.support.peer import Script
from tests.support.virtual_time import virtual

D = Decimal
BTC = cp.Instrument("BTC_USD", tick_size="0.01", lot_size="0.0001", min_amount="0.001")


def an_order(amount: str = "1", price: str = "100", **terms: Any) -> cp.Order:
    arguments: dict[str, Any] = {"client_order_id": None, "trade_pair": "BTC_USD", "side": "buy"} | terms
    return cp.Order(amount=amount, price=price, **arguments)


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


# The checks alone


def test_a_client_without_rules_and_limits_has_no_checks() -> None:
    assert OrderChecks.of(None, None, cp.OrderTable()) is None
    assert OrderChecks.of([], None, cp.OrderTable()) is None
    assert OrderChecks.of([BTC], None, cp.OrderTable()) is not None
    assert OrderChecks.of(None, cp.OrderLimits(), cp.OrderTable()) is not None


def test_a_mapping_is_read_anew_for_each_order() -> None:
    instruments: dict[str, cp.Instrument] = {}
    checks = OrderChecks.of(instruments, None, cp.OrderTable())
    assert checks is not None
    with checks.admit(an_order(price="1.001")):
        pass
    instruments["BTC_USD"] = BTC
    assert checks.instruments == {"BTC_USD": BTC}
    with pytest.raises(cp.OrderInvalid, match="not a multiple of the tick size"), checks.admit(an_order(price="1.001")):
        pytest.fail("was admitted")


def test_the_rules_of_a_pair_are_for_that_pair_alone() -> None:
    checks = OrderChecks([BTC], None, cp.OrderTable())
    with pytest.raises(cp.OrderInvalid, match="not a multiple of the tick size"), checks.admit(an_order(price="1.001")):
        pytest.fail("was admitted")
    with checks.admit(an_order(price="1.001", trade_pair="ETH_USD")):
        pass


def test_an_order_that_never_rests_is_checked_as_such() -> None:
    checks = OrderChecks([cp.Instrument("BTC_USD", min_value="10")], None, cp.OrderTable())
    with checks.admit(an_order(price="1", side="sell", time_in_force="ioc")):
        pass
    with pytest.raises(cp.OrderInvalid, match="less than the minimum"), checks.admit(an_order(price="1", side="sell")):
        pytest.fail("was admitted")


def test_the_open_value_counts_what_has_not_ended_and_what_is_being_placed() -> None:
    table = cp.OrderTable()
    checks = OrderChecks(None, cp.OrderLimits(max_open_value={"USD": "300"}), table)
    sent, ended = an_order(client_order_id=1), an_order(client_order_id=2)
    table.add(sent)
    table.add(ended)
    table.reject(ended, cp.OrderRejected("no"))
    with checks.admit(an_order()):
        with pytest.raises(cp.OrderInvalid, match="worth 200 USD"), checks.admit(an_order("2")):
            pytest.fail("was admitted")
        with checks.admit(an_order("1")):
            pass
    with checks.admit(sent), checks.admit(an_order("2")):  # it is in the table and being placed, and counts once
        pass
    with checks.admit(ended), checks.admit(an_order("2")):  # it has ended before place() returns
        pass


def test_a_refused_order_uses_nothing() -> None:
    clock = Hands()
    limits = cp.OrderLimits(max_orders_per_second=1, max_amount="2", max_open_value={"USD": "200"})
    checks = OrderChecks([BTC], limits, cp.OrderTable(), time=clock)
    for wrong in (an_order("3", "1"), an_order("2", "1.001")):
        with pytest.raises(cp.OrderInvalid), checks.admit(wrong):
            pytest.fail("was admitted")
    with pytest.raises(ZeroDivisionError), checks.admit(an_order("2")):  # as when placing it fails
        raise ZeroDivisionError
    with pytest.raises(cp.OrderInvalid, match=r"per_second=1; try again in 1.000 s"), checks.admit(an_order("2")):
        pytest.fail("was admitted")
    clock.seconds += 1
    with checks.admit(an_order("2")):
        pass


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"instruments": ["BTC_USD"]}, "instruments must be a list of Instrument objects, and 'BTC_USD' is a str"),
        ({"instruments": "BTC_USD"}, "instruments must be a list of Instrument objects, not a single str"),
        ({"instruments": BTC}, "instruments must be a list of Instrument objects, not a single Instrument"),
        ({"instruments": {"BTC": BTC}}, "instruments: the keys must be the pairs, BTC_USD, and they are BTC"),
        ({"instruments": [BTC, cp.Instrument("BTC_USD")]}, "instruments: BTC_USD is given twice"),
        ({"limits": {"max_amount": "1"}}, "limits must be an OrderLimits, not dict"),
    ],
)
@virtual
async def test_what_a_client_cannot_use(
    script: Script, alice_key: cp.PrivateKey, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(cp.ConfigurationError, match=words):
        client_of(script, alice_key, **arguments)


# In a client


@virtual
async def test_a_refused_order_costs_nothing(script: Script, alice_key: cp.PrivateKey) -> None:
    patient(script)
    limits = cp.OrderLimits(pairs=["BTC_USD"], max_value="500", price_band="0.05", book=cp.OrderBook("BTC_USD"))
    async with client_of(script, alice_key, instruments={"BTC_USD": BTC}, limits=limits) as client:
        wrong: list[dict[str, Any]] = [
            {"price": "1.001"}, {"amount": "0.00001"}, {"amount": "0.0005"}, {"trade_pair": "ETH_USD"},
            {"amount": "501"}, {},
        ]  # fmt: skip
        for change in wrong:
            terms: dict[str, Any] = {"trade_pair": "BTC_USD", "side": "buy", "amount": "1", "price": "1"} | change
            with pytest.raises(cp.OrderInvalid) as caught:
                await client.place(**terms)
            assert caught.value.sent is False
        assert client.instruments == {"BTC_USD": BTC}
        assert script.peer.messages == []
        assert list(client.orders) == []
        assert client.state.state is cp.State.LIVE
        assert client.metrics().counters["orders_sent"] == 0


@virtual
async def test_a_client_without_instruments_has_none(script: Script, alice_key: cp.PrivateKey) -> None:
    assert client_of(script, alice_key).instruments == {}


@virtual
async def test_two_orders_at_once_cannot_use_the_same_part_of_a_limit(
    exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey
) -> None:
    limits = cp.OrderLimits(max_open_value={"USD": "150"})
    line = Line(Exchange(private_key=exchange_key))
    async with trader(line, alice_key, limits=limits, order_rate=10) as client:
        results = await asyncio.gather(
            *(client.place("BTC_USD", "buy", amount="1", price="100") for _ in range(5)), return_exceptions=True
        )
        assert sum(isinstance(result, cp.Order) for result in results) == 1
        assert sum(isinstance(result, cp.OrderInvalid) for result in results) == 4
        (order,) = client.orders.unfinished
        assert await client.cancel(order)
        assert client.orders.unfinished == []
        await client.place("BTC_USD", "buy", amount="1", price="100")


@virtual
async def test_an_order_that_waits_for_a_connection_counts_until_it_is_given_up(
    exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey
) -> None:
    line = Line(Exchange(private_key=exchange_key))
    limits = cp.OrderLimits(max_pair_open_value="150")
    async with trader(line, alice_key, limits=limits) as client:
        line.is_down = True
        line.cut()
        await until_state(client, cp.State.WAITING)
        waiting = asyncio.create_task(client.place("BTC_USD", "buy", amount="1", price="100", timeout=1))
        await asyncio.sleep(0)
        with pytest.raises(cp.OrderInvalid, match="the open orders of BTC_USD are worth 100 USD"):
            await client.place("BTC_USD", "sell", amount="1", price="100")
        with pytest.raises(cp.RequestNotSent):
            await waiting
        with pytest.raises(cp.RequestNotSent):
            await client.place("BTC_USD", "buy", amount="1", price="100", wait=False)


@virtual
async def test_a_limit_counts_the_orders_of_earlier_processes(
    exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey
) -> None:
    """They are not known before the client is live for the first time, so an order waits for that."""
    line = Line(Exchange(private_key=exchange_key))
    limits = cp.OrderLimits(max_pair_open_value="150")
    async with trader(line, alice_key) as before:
        await before.place("BTC_USD", "buy", amount="1", price="100")
    line.is_down = True
    async with trader(line, alice_key, limits=limits, instruments=[BTC]) as client:
        place = client.place
        with pytest.raises(cp.OrderInvalid, match="tick size"):  # nothing has to be known for that
            await place("BTC_USD", "buy", amount="1", price="1.001")
        with pytest.raises(cp.RequestNotSent):
            await place("BTC_USD", "buy", amount="1", price="100", wait=False)
        waiting = asyncio.create_task(place("BTC_USD", "buy", amount="1", price="100", timeout=60))
        await asyncio.sleep(1)
        line.is_down = False
        with pytest.raises(cp.OrderInvalid, match="the open orders of BTC_USD are worth 100 USD"):
            await waiting


async def test_a_client_follows_the_rules_that_the_exchange_publishes(
    exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey
) -> None:
    async with Exchange(private_key=exchange_key, instruments=[BTC]) as exchange:
        exchange.register("alice", alice_key.public_key, balances={"USD": "1000"})
        async with (
            cp.MarketData(exchange.market_data_url, pairs=["BTC_USD"]) as feed,
            cp.Client(
                exchange.url, client_id="alice", private_key=alice_key, server_key=exchange.public_key,
                instruments=feed.instruments, protocol=cp.Protocol.V5,
            ) as client,
        ):  # fmt: skip
            await feed.wait_book("BTC_USD", timeout=10)
            with pytest.raises(cp.OrderInvalid, match=r"not a multiple of the tick size 0.01"):
                await client.place("BTC_USD", "buy", amount="1", price="1.001")
            exchange.set_instruments([cp.Instrument("BTC_USD", tick_size="0.001")])
            async for update in feed:
                if isinstance(update, cp.TradingRules) and feed.instruments["BTC_USD"] != BTC:
                    break
            await client.place("BTC_USD", "buy", amount="1", price="1.001")
            with pytest.raises(cp.OrderInvalid, match=r"not a multiple of the tick size 0.001"):
                await client.place("BTC_USD", "buy", amount="1", price="1.0001")


@virtual
async def test_a_replacement_is_checked_before_the_old_order_is_cancelled(
    exchange_key: cp.PrivateKey, alice_key: cp.PrivateKey
) -> None:
    line = Line(Exchange(private_key=exchange_key))
    limits = cp.OrderLimits(max_open_value={"USD": "150"})
    async with trader(line, alice_key, instruments=[BTC], limits=limits) as client:
        order = await client.place("BTC_USD", "buy", amount="1", price="100")
        for pipelined in (False, True):
            with pytest.raises(cp.OrderInvalid, match="not a multiple of the tick size"):
                await client.replace(order, price="100.001", pipelined=pipelined)
            with pytest.raises(cp.OrderInvalid, match="USD"):
                await client.replace(order, amount="2", pipelined=pipelined)
        assert client.orders.open == [order]
        # The limit does not count the old order besides the new one.
        new = await client.replace(order, price="150")
        assert client.orders.open == [new]
