"""Random streams of commands for an engine, from a seed."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import msgspec

from cryptoproto.exchange.commands import (
    Command,
    Deposit,
    DisablePairs,
    EnablePairs,
    Expire,
    Register,
    Submit,
    Withdraw,
)
from cryptoproto.exchange.engine import Engine
from cryptoproto.messages import (
    CancelAllOrders,
    CancelOrder,
)
from tests.support.venue import KINDS

CLIENTS = ("alice", "bob", "carol")

PAIRS = ("A_B", "B_C")

FEES = (Decimal(0), Decimal("0.001"), Decimal("0.33333333"))


class Scenario(msgspec.Struct):
    """Fees, and the commands that an exchange is given."""

    maker_fee: Decimal
    taker_fee: Decimal
    commands: list[Command]

    def engine(self) -> Engine:
        return Engine(trade_pairs=PAIRS, maker_fee=self.maker_fee, taker_fee=self.taker_fee)


def scenario(choice: random.Random, length: int, tiny: bool) -> Scenario:
    """Three clients, two pairs that share a currency; prices close together, so that most orders meet others.

    With *tiny*, prices and amounts are so small that rounding is most of what happens.
    """
    unit = Decimal("0.00000001")
    now_us = 0
    commands: list[Command] = [
        Register(client, {"A": "90", "B": "90", "C": "9"} if client != "carol" else {}, 0) for client in CLIENTS
    ]
    for index in range(length):
        now_us += choice.choice((0, 0, 0, 1, 1_000_000, 10_000_000))
        client = choice.choice(CLIENTS)
        dice = choice.random()
        if dice < 0.83:
            price = choice.randint(1, 6) * unit if tiny else Decimal(choice.randint(90, 110)) / 100
            amount = choice.randint(1, 400) * unit * (3 * 10**6 if tiny else 10**5) / choice.choice((1, 1, 3, 7))
            kind = choice.choice(("limit", "limit", "limit", "ioc", "fok"))
            placing: Any = KINDS[choice.choice(("buy", "sell")), kind]
            command: Command = Submit(
                client,
                placing(
                    choice.choice((*PAIRS, *PAIRS * 10, "X_Y")) if choice.random() < 0.4 else "A_B",
                    amount.quantize(unit) or unit,
                    price if choice.random() < 0.9 else price * 1000,
                    choice.choice((None, None, index, index, choice.randint(1, 99))),
                    choice.choice((0, 0, 0, 30, 90)),
                ),
                now_us,
            )
        elif dice < 0.91:
            command = Submit(client, CancelOrder(choice.randint(1, index + 1)), now_us)
        elif dice < 0.915:
            command = Submit(client, CancelAllOrders(), now_us)
        elif dice < 0.95:
            transfer = choice.choice((Deposit, Withdraw))
            command = transfer(client, choice.choice("ABC"), choice.randint(1, 10**8) * unit, "", [], now_us)
        elif dice < 0.985:
            command = choice.choice(
                (EnablePairs([*PAIRS, "X_Y"], now_us),) * 2 + (DisablePairs([choice.choice(PAIRS)], now_us),)
            )
        else:
            command = Expire(now_us + choice.choice((-60_000_000, 0, 30_000_000)))
        commands.append(command)
    return Scenario(choice.choice(FEES), choice.choice(FEES), commands)
