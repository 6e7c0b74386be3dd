"""An engine with two clients and a few words for talking to it, for the engine's tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from cryptoproto.exchange.commands import (
    Broadcast,
    Command,
    DisablePairs,
    EnablePairs,
    Output,
    Private,
    Public,
    Refused,
    Register,
    Submit,
)
from cryptoproto.exchange.engine import Engine
from cryptoproto.messages import (
    CancelAllOrders,
    CancelOrder,
    ClientMessage,
    Message,
    OwnTrade,
    PlaceBuyFoKOrder,
    PlaceBuyIoCOrder,
    PlaceBuyLimitOrder,
    PlaceSellFoKOrder,
    PlaceSellIoCOrder,
    PlaceSellLimitOrder,
    plain,
)

KINDS: dict[tuple[str, str], type[ClientMessage]] = {
    ("buy", "limit"): PlaceBuyLimitOrder,
    ("sell", "limit"): PlaceSellLimitOrder,
    ("buy", "fok"): PlaceBuyFoKOrder,
    ("sell", "fok"): PlaceSellFoKOrder,
    ("buy", "ioc"): PlaceBuyIoCOrder,
    ("sell", "ioc"): PlaceSellIoCOrder,
}
START_US = 1_700_000_000_123_456
RICH = {"USD": "1000000", "BTC": "100"}


class Venue:
    """Alice and bob, each with 1,000,000 USD and 100 BTC unless told otherwise."""

    def __init__(self, *, balances: Mapping[str, Mapping[str, str]] | None = None, **options: Any) -> None:
        self.engine = Engine(**options)
        self.now_us = START_US
        for client, funds in (balances or {"alice": RICH, "bob": RICH}).items():
            assert self.engine.apply(Register(client, dict(funds), self.now_us)) == []

    def register(self, client: str, funds: Mapping[str, str] = RICH) -> None:
        assert self.apply(Register(client, dict(funds), self.now_us)) == []

    def apply(self, command: Command) -> list[Output]:
        return self.engine.apply(command)

    def send(self, client: str, message: ClientMessage) -> list[Output]:
        return self.apply(Submit(client, message, self.now_us))

    def order(
        self,
        client: str,
        side: str,
        amount: str,
        price: str,
        kind: str = "limit",
        *,
        pair: str = "BTC_USD",
        **more: Any,
    ) -> list[Output]:
        placing: Any = KINDS[side, kind]
        return self.send(client, placing(trade_pair=pair, amount=amount, price=price, **more))

    def cancel(self, client: str, order_id: int) -> list[Output]:
        return self.send(client, CancelOrder(order_id))

    def cancel_all(self, client: str) -> list[Output]:
        return self.send(client, CancelAllOrders())

    def disable(self, *pairs: str) -> list[Output]:
        return self.apply(DisablePairs(list(pairs), self.now_us))

    def enable(self, *pairs: str) -> list[Output]:
        return self.apply(EnablePairs(list(pairs), self.now_us))

    def book(self, pair: str = "BTC_USD") -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Both sides, best first, as plain digits without needless zeroes."""
        book = self.engine.aggregated_book(pair)
        return _short_levels(book.buy_levels), _short_levels(book.sell_levels)

    def funds(self, client: str) -> dict[str, tuple[str, str]]:
        """Available and on hold by currency."""
        balances = self.engine.balances(client).balances
        return {currency: (short(each.available), short(each.on_hold)) for currency, each in balances.items()}


def short(value: Decimal) -> str:
    """*value*, which must have eight decimals, without its last zeroes."""
    assert value.as_tuple().exponent == -8, value
    return plain(value).rstrip("0").rstrip(".")


def _short_levels(levels: Mapping[Decimal, Decimal]) -> list[tuple[str, str]]:
    return [(short(price), short(volume)) for price, volume in levels.items()]


def story(outputs: Sequence[Output]) -> list[str]:
    """The outputs as lines, ``alice BuyOrderPlaced order_id=1 …``, without times, pairs and flags that are not set."""
    return [_line(output) for output in outputs]


def _line(output: Output) -> str:
    if isinstance(output, Refused):
        return f"{output.client_id} refused {output.error_type}: {output.text}"
    who = output.client_id if isinstance(output, Private) else type(output).__name__.lower()
    return f"{who} {_words(output.message)}"


def _words(message: Message) -> str:
    words = [type(message).__name__]
    for name, value in msgspec.structs.asdict(message).items():
        if name in ("time", "trade_pair") or value is None or value is False:
            continue
        words.append(name if value is True else f"{name}={short(value) if isinstance(value, Decimal) else value}")
    return " ".join(words)


def messages(outputs: Sequence[Output], client: str | None = None) -> list[Message]:
    """The messages of *outputs*, of one client alone if one is named."""
    return [
        output.message
        for output in outputs
        if isinstance(output, Private | Public | Broadcast)
        and (client is None or (isinstance(output, Private) and output.client_id == client))
    ]


def fills(outputs: Sequence[Output]) -> list[tuple[int, str, str]]:
    """The executions in *outputs*: order id of the resting order, amount, price."""
    return [
        (message.order_id, short(message.amount), short(message.price))
        for message in messages(outputs)
        if isinstance(message, OwnTrade) and message.maker
    ]
