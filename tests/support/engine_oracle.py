"""A slow, plain exchange to compare the engine with.

Written from the rules alone and unlike the engine wherever it can be: Decimals in place of integers, one flat list of
orders that is sorted for every step, and holds that are worked out from the open orders whenever they are wanted.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Context, Decimal

EIGHT = Decimal("1e-8")
CONTEXT = Context(prec=100)
MINUTE_US = 60 * 10**6


def floor(value: Decimal) -> Decimal:
    return value.quantize(EIGHT, rounding=ROUND_FLOOR, context=CONTEXT)


def worth(price: Decimal, amount: Decimal) -> Decimal:
    return floor(CONTEXT.multiply(price, amount))


@dataclass
class Resting:
    order_id: int
    client: str
    pair: str
    side: str
    price: Decimal
    amount: Decimal
    end_us: int | None

    @property
    def priority(self) -> tuple[Decimal, int]:
        return (-self.price if self.side == "buy" else self.price, self.order_id)

    @property
    def need(self) -> tuple[str, Decimal]:
        base, quote = self.pair.split("_")
        return (quote, worth(self.price, self.amount)) if self.side == "buy" else (base, self.amount)


@dataclass
class Told:
    """What one command led to."""

    verdict: str  # placed, cancelled, refused 1 …, not found, insufficient
    trades: list[tuple[int, int, Decimal, Decimal]] = field(default_factory=list)  # maker, taker, amount, price
    cancelled: list[int] = field(default_factory=list)
    left: Decimal | None = None


@dataclass
class Oracle:
    pairs: list[str]
    maker_fee: Decimal
    taker_fee: Decimal
    owned: dict[tuple[str, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    fees: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    resting: list[Resting] = field(default_factory=list)
    used: set[tuple[str, int]] = field(default_factory=set)
    disabled: set[str] = field(default_factory=set)
    last_id: int = 0
    now_us: int = 0

    def on_hold(self, client: str, currency: str) -> Decimal:
        needs = [order.need for order in self.resting if order.client == client]
        return sum((amount for needed, amount in needs if needed == currency), Decimal(0))

    def available(self, client: str, currency: str) -> Decimal:
        return self.owned[client, currency] - self.on_hold(client, currency)

    def expire(self, now_us: int) -> list[int]:
        self.now_us = max(now_us, self.now_us)
        due = [(o.end_us, o.order_id) for o in self.resting if o.end_us is not None and o.end_us <= self.now_us]
        ended = [order_id for _, order_id in sorted(due)]
        self.resting = [order for order in self.resting if order.order_id not in ended]
        return ended

    def cancel(self, client: str, order_id: int) -> Told:
        for order in self.resting:
            if (order.client, order.order_id) == (client, order_id):
                self.resting.remove(order)
                return Told("cancelled", cancelled=[order_id])
        return Told("not found")

    def cancel_all(self, client: str) -> Told:
        ended = sorted(order.order_id for order in self.resting if order.client == client)
        self.resting = [order for order in self.resting if order.client != client]
        return Told("cancelled", cancelled=ended)

    def place(
        self,
        client: str,
        pair: str,
        side: str,
        kind: str,
        amount: Decimal,
        price: Decimal,
        client_order_id: int | None,
        ttl: int,
    ) -> Told:
        rests_or_buys = kind == "limit" or side == "buy"
        if pair not in self.pairs or (rests_or_buys and CONTEXT.multiply(price, amount) < EIGHT):
            return Told("refused 2")
        if client_order_id is not None and (client, client_order_id) in self.used:
            return Told("refused 1")
        if pair in self.disabled:
            return Told("refused 3")
        if client_order_id is not None:
            self.used.add((client, client_order_id))
        self.last_id += 1
        end_us = self.now_us + ((ttl + 59) // 60) * MINUTE_US if ttl else None
        order = Resting(self.last_id, client, pair, side, price, amount, end_us)
        currency, need = order.need
        if self.available(client, currency) < need:
            return Told("insufficient")
        told = Told("placed")
        stuck = False
        if kind != "fok" or self.would_fill(order):
            stuck = self.match(order, told)
        told.left = order.amount
        if order.amount:
            if kind == "limit" and not stuck and worth(order.price, order.amount):
                self.resting.append(order)
            else:
                told.cancelled.append(order.order_id)
        return told

    def facing(self, order: Resting) -> list[Resting]:
        """The orders that *order* would meet, in the order in which it would meet them."""
        other = [o for o in self.resting if o.pair == order.pair and o.side != order.side]
        if order.side == "buy":
            other = [o for o in other if o.price <= order.price]
        else:
            other = [o for o in other if o.price >= order.price]
        return sorted(other, key=lambda o: o.priority)

    def would_fill(self, order: Resting) -> bool:
        left = order.amount
        for maker in self.facing(order):
            if left and maker.client != order.client:
                part = min(left, maker.amount)
                if not worth(maker.price, part):
                    return False
                left -= part
        return not left

    def match(self, order: Resting, told: Told) -> bool:
        for maker in self.facing(order):
            if not order.amount:
                break
            if maker.client == order.client:
                self.resting.remove(maker)
                told.cancelled.append(maker.order_id)
                continue
            part = min(order.amount, maker.amount)
            cost = worth(maker.price, part)
            if not cost:
                return True
            buyer, seller = (order, maker) if order.side == "buy" else (maker, order)
            base, quote = order.pair.split("_")
            self.pay(seller, buyer, base, part, self.fee(buyer, order))
            self.pay(buyer, seller, quote, cost, self.fee(seller, order))
            told.trades.append((maker.order_id, order.order_id, part, maker.price))
            order.amount -= part
            maker.amount -= part
            if not maker.amount:
                self.resting.remove(maker)
            elif not worth(maker.price, maker.amount):
                self.resting.remove(maker)
                told.cancelled.append(maker.order_id)
        return False

    def fee(self, receiver: Resting, taker: Resting) -> Decimal:
        return self.taker_fee if receiver is taker else self.maker_fee

    def pay(self, giver: Resting, receiver: Resting, currency: str, amount: Decimal, rate: Decimal) -> None:
        fee = worth(amount, rate)
        self.owned[giver.client, currency] -= amount
        self.owned[receiver.client, currency] += amount - fee
        self.fees[currency] += fee

    def book(self, pair: str, side: str) -> dict[Decimal, Decimal]:
        levels: dict[Decimal, Decimal] = {}
        for order in sorted(self.resting, key=lambda o: o.priority):
            if (order.pair, order.side) == (pair, side):
                levels[order.price] = levels.get(order.price, Decimal(0)) + order.amount
        return levels
