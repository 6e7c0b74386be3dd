"""Histories without an exchange: messages with amounts as strings, and a store that records them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import cryptoproto as cp
from cryptoproto.client.store.sqlite import SqliteStore
from cryptoproto.history.reader import Entry, Reader
from cryptoproto.messages import Message, encode
from tests.support.stores import ALICE

__all__ = ["Writer", "balance", "cancelled", "changed", "closed", "entries_of", "event", "placed", "trade"]

PAIR = "BTC_USD"


def event(transaction_id: int | None, message: Message, *, timestamp: float | None = 0.0) -> cp.Event:
    """The event that carries *message*, with its JSON."""
    return cp.Event(transaction_id, timestamp, message, 7_000_000_000, encode(message))


def placed(
    order_id: int, amount: str, price: str, *, left: str | None = None, side: str = "buy", at: int = 0, **more: Any
) -> Message:
    kind = cp.BuyOrderPlaced if side == "buy" else cp.SellOrderPlaced
    rest = Decimal(amount if left is None else left)
    fields: dict[str, Any] = {"trade_pair": PAIR, "closed_inline": not rest, **more}
    return kind(
        order_id=order_id, price=Decimal(price), initial_amount=Decimal(amount), amount=rest, time=(at, 0), **fields
    )


def trade(
    order_id: int, amount: str, price: str, *, side: str = "buy", maker: bool = True, at: int = 0, **more: Any
) -> cp.OwnTrade:
    fields: dict[str, Any] = {"trade_pair": PAIR, **more}
    return cp.OwnTrade(
        order_id=order_id,
        amount=Decimal(amount),
        price=Decimal(price),
        maker=maker,
        maker_buy=maker == (side == "buy"),
        time=(at, 0),
        **fields,
    )


def changed(order_id: int, left: str, fee: str = "0", *, side: str = "buy", at: int = 0, **more: Any) -> Message:
    kind = cp.BuyOrderAmountChanged if side == "buy" else cp.SellOrderAmountChanged
    fields: dict[str, Any] = {"trade_pair": PAIR, **more}
    return kind(order_id=order_id, amount=Decimal(left), fee=Decimal(fee), time=(at, 0), **fields)


def cancelled(order_id: int, *, side: str = "buy", at: int = 0, **more: Any) -> Message:
    kind = cp.BuyOrderCancelled if side == "buy" else cp.SellOrderCancelled
    fields: dict[str, Any] = {"trade_pair": PAIR, **more}
    return kind(order_id=order_id, time=(at, 0), **fields)


def closed(order_id: int, *, side: str = "buy", at: int = 0, **more: Any) -> Message:
    kind = cp.BuyOrderClosed if side == "buy" else cp.SellOrderClosed
    fields: dict[str, Any] = {"trade_pair": PAIR, **more}
    return kind(order_id=order_id, time=(at, 0), **fields)


def balance(currency: str, available: str, change: str, reason: str = "trade", *, at: int = 0) -> cp.SetBalance:
    return cp.SetBalance(
        currency=currency, balance=Decimal(available), change=Decimal(change), reason=reason, time=(at, 0)
    )


class Writer:
    """An open store with a history.

    Attributes:
        store: the store.
        reader: reads what it has written.
        last: the last transaction that was recorded.
    """

    def __init__(self, path: Path) -> None:
        self.store = SqliteStore(path, history=True)
        self.store.open(*ALICE)
        self.reader = Reader(path, self.store.flush)
        self.last = self.store.position or 0

    def tell(self, *messages: Message) -> int:
        """Record *messages*, each as the next transaction; returns the last one's id."""
        for message in messages:
            self.last += 1
            self.store.record([event(self.last, message)])
        return self.last

    def commit(self, *messages: Message) -> int:
        """As :meth:`tell`, in a group of their own."""
        self.tell(*messages)
        self.store.advance(self.last)
        self.store.flush()
        return self.last

    def send(self, message: cp.PlaceOrder, settled_by: int | None = None, *, at: int = 0) -> None:
        """An order was sent, and settled by a transaction if one is given."""
        entry = cp.OutboxEntry(kind="place", payload=encode(message), created_ns=at * 10**9)
        key = self.store.put(entry)
        if settled_by is not None:
            self.store.remove(key, settled_by)

    def state(self, **balances: tuple[str, str]) -> None:
        """The exchange states balances, available and on hold by currency."""
        self.store.record_balances(
            self.last, {currency: cp.Balance(*map(Decimal, values)) for currency, values in balances.items()}
        )

    def close(self) -> None:
        self.store.close()


def entries_of(*messages: Message) -> list[Entry]:
    """The *messages* as entries of a history, one a second."""
    return [Entry(number, number * 1_000_000, message) for number, message in enumerate(messages, 1)]
