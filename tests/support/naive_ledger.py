"""Profit and loss as one would write it down: unit by unit, with fractions. Slow, and without anything clever."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

from cryptoproto.history import TradeRecord
from cryptoproto.messages import Side

__all__ = ["NaiveLedger", "random_trades", "trade_of"]

UNIT = Fraction(1, 100)


def trade_of(
    number: int, side: str, amount: Decimal, price: Decimal, fee: Decimal | None = None, pair: str = "BTC_USD"
) -> TradeRecord:
    return TradeRecord(
        transaction_id=number,
        time=datetime.fromtimestamp(number, UTC),
        trade_pair=pair,
        side=Side(side),
        amount=amount,
        price=price,
        fee=fee,
        fee_currency=pair.split("_")[0 if side == "buy" else 1],
        maker=True,
        order_id=number,
        client_order_id=None,
    )


def random_trades(choice: random.Random) -> list[TradeRecord]:
    """Up to thirty trades in units of a hundredth, with fees on some of them."""
    trades = []
    for number in range(1, choice.randint(1, 30)):
        side = choice.choice(("buy", "sell"))
        units = choice.randint(1, 12)
        fee = None if choice.random() < 0.3 else Decimal(0)
        if choice.random() < 0.3:
            fee = Decimal(choice.randint(0, units)) / 100 if side == "buy" else Decimal(choice.randint(1, 999)) / 1000
        price = Decimal(choice.randint(1, 400)) / 4
        trades.append(trade_of(number, side, Decimal(units) / 100, price, fee))
    return trades


@dataclass
class NaiveLedger:
    """Every unit that is held, with its price; sold units are short ones.

    Attributes:
        longs: the price of each unit that was bought and is held, oldest first.
        shorts: the price of each unit that was sold and is owed, oldest first.
        cash: what all trades together have brought, after fees.
    """

    method: str
    longs: list[Fraction] = field(default_factory=list)
    shorts: list[Fraction] = field(default_factory=list)
    realised: Fraction = Fraction(0)
    fees: Fraction = Fraction(0)
    cash: Fraction = Fraction(0)

    def add(self, trade: TradeRecord) -> None:
        price, fee = Fraction(trade.price), Fraction(trade.fee or 0)
        units = Fraction(trade.amount) / UNIT
        if trade.side is Side.BUY:
            units -= fee / UNIT
            self.cash -= Fraction(trade.amount) * price
            self.fees += fee * price
            self.realised -= fee * price
        else:
            self.cash += Fraction(trade.amount) * price - fee
            self.fees += fee
            self.realised -= fee
        assert units.denominator == 1
        ours, theirs, sign = (self.longs, self.shorts, -1) if trade.side is Side.BUY else (self.shorts, self.longs, 1)
        for _ in range(int(units)):
            if not theirs:
                ours.append(price)
                continue
            self.realised += sign * (price - theirs.pop(0)) * UNIT
        if self.method == "average":
            for held in (self.longs, self.shorts):
                held[:] = [sum(held, Fraction(0)) / len(held)] * len(held) if held else []

    @property
    def position(self) -> Fraction:
        return (len(self.longs) - len(self.shorts)) * UNIT

    def unrealised(self, price: Fraction) -> Fraction:
        longs = sum((price - paid for paid in self.longs), Fraction(0))
        return (longs + sum((got - price for got in self.shorts), Fraction(0))) * UNIT
