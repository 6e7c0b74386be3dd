"""The whole state of an engine as bytes, and back.

Derived values are not stored: holds and level volumes follow from the open orders, and orders at one price are filled
in the order of their ids.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ..exceptions import DecodeError
from ..instruments import Instrument
from ..messages import MALFORMED, InstrumentRules
from .accounts import Accounts, Order
from .matching import Matching

__all__ = ["State", "dump", "fill", "load"]

_VERSION: Final = 3
_READ: Final = (2, 3)
"""Snapshots of version 2 have no rules of pairs."""


class _Account(msgspec.Struct, array_like=True):
    client_id: str
    available: dict[str, int]
    client_order_ids: list[int]


class _Order(msgspec.Struct, array_like=True):
    order_id: int
    client_id: str
    trade_pair: str
    buy: bool
    price: int
    amount: int
    client_order_id: int | None
    expiry_us: int


class State(msgspec.Struct):
    """The contents of a snapshot. All amounts are in units of 1e-8."""

    version: int
    trade_pairs: list[str]
    maker_fee: int
    taker_fee: int
    now_us: int
    last_order_id: int
    max_open_orders: int
    disabled: list[str]
    touched: list[str]
    fees: dict[str, int]
    accounts: list[_Account]
    orders: list[_Order]
    instruments: list[InstrumentRules] = []


# JSON and not MessagePack, whose integers end at 64 bits: balances may not.
_DECODER: Final = msgspec.json.Decoder(State)
_encode: Final = msgspec.json.Encoder().encode


def dump(
    matching: Matching,
    accounts: Accounts,
    *,
    maker_fee: int,
    taker_fee: int,
    now_us: int,
    client_order_ids: bool,
) -> bytes:
    """The state of *matching* and *accounts*, and the rest of an engine's state, as bytes."""
    orders = sorted((order for account in accounts for order in account.orders.values()), key=lambda o: o.order_id)
    state = State(
        version=_VERSION,
        trade_pairs=list(matching.books),
        maker_fee=maker_fee,
        taker_fee=taker_fee,
        now_us=now_us,
        last_order_id=matching.last_order_id,
        max_open_orders=matching.max_open_orders,
        disabled=sorted(matching.disabled),
        touched=sorted(matching.touched),
        fees=accounts.fees,
        accounts=[
            _Account(
                account.client_id,
                {currency: funds.available for currency, funds in account.funds.items()},
                list(account.client_order_ids) if client_order_ids else [],
            )
            for account in accounts
        ],
        orders=[
            _Order(
                order.order_id,
                order.account.client_id,
                order.pair.name,
                order.buy,
                order.price,
                order.amount,
                order.client_order_id,
                order.expiry_us,
            )
            for order in orders
        ],
        instruments=[instrument.to_rules() for instrument in matching.instruments.values()],
    )
    return _encode(state)


def load(raw: bytes) -> State:
    """The state in *raw*.

    Raises:
        DecodeError: *raw* is not a snapshot, or has another version.
    """
    try:
        state = _DECODER.decode(raw)
    except MALFORMED as error:
        raise DecodeError(f"this is not a snapshot of an exchange: {error}") from None
    if state.version not in _READ:
        known = " and ".join(map(str, _READ))
        raise DecodeError(f"the snapshot has version {state.version}; this package reads versions {known}")
    return state


def fill(state: State, matching: Matching, accounts: Accounts) -> None:
    """Load *state* into the parts of a new engine.

    Raises:
        DecodeError: two orders have the same id.
    """
    if len({row.order_id for row in state.orders}) < len(state.orders):
        raise DecodeError("the snapshot contradicts itself: two orders have the same id")
    matching.last_order_id = state.last_order_id
    matching.max_open_orders = state.max_open_orders
    matching.disabled.update(state.disabled)
    matching.instruments.update({rules.trade_pair: Instrument.from_rules(rules) for rules in state.instruments})
    accounts.fees.update(state.fees)
    for entry in state.accounts:
        account = accounts.open(entry.client_id, entry.available)
        account.client_order_ids.update(entry.client_order_ids)
    for row in state.orders:
        order = Order(
            row.order_id,
            accounts[row.client_id],
            matching.books[row.trade_pair].pair,
            row.buy,
            row.price,
            row.amount,
            row.client_order_id,
            row.expiry_us,
        )
        order.account.funds[order.held_currency].on_hold += order.held
        matching.rest(order)
    matching.touched.clear()
    matching.touched.update(state.touched)
