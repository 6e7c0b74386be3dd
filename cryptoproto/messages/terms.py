"""The terms of an order: side, time in force and ids as users write them, and the message that has them."""

from __future__ import annotations

import enum
from typing import Final

from ..exceptions import OrderInvalid
from .amounts import AmountLike
from .orders import (
    PlaceBuyFoKOrder,
    PlaceBuyIoCOrder,
    PlaceBuyLimitOrder,
    PlaceOrder,
    PlaceSellFoKOrder,
    PlaceSellIoCOrder,
    PlaceSellLimitOrder,
)

__all__ = ["TERMS", "Side", "TimeInForce", "check_id", "place_message", "to_side", "to_time_in_force"]


class Side(enum.StrEnum):
    """Which side of the market an order is on."""

    BUY = "buy"
    SELL = "sell"


class TimeInForce(enum.StrEnum):
    """What happens to the part of an order that is not filled immediately."""

    GTC = "gtc"
    """Good till cancelled: it rests in the book, until its ttl expires if it has one."""
    FOK = "fok"
    """Fill or kill: all of it is filled immediately, or nothing."""
    IOC = "ioc"
    """Immediate or cancel: what is not filled immediately is cancelled."""


_KINDS: Final[dict[tuple[Side, TimeInForce], type[PlaceOrder]]] = {
    (Side.BUY, TimeInForce.GTC): PlaceBuyLimitOrder,
    (Side.SELL, TimeInForce.GTC): PlaceSellLimitOrder,
    (Side.BUY, TimeInForce.FOK): PlaceBuyFoKOrder,
    (Side.SELL, TimeInForce.FOK): PlaceSellFoKOrder,
    (Side.BUY, TimeInForce.IOC): PlaceBuyIoCOrder,
    (Side.SELL, TimeInForce.IOC): PlaceSellIoCOrder,
}
TERMS: Final = {kind: terms for terms, kind in _KINDS.items()}
"""Side and time in force of each order message."""


_SIDES: Final = {side.value: side for side in Side}
_TIMES_IN_FORCE: Final = {each.value: each for each in TimeInForce}


def to_side(side: Side | str) -> Side:
    """*side* as a :class:`Side`; strings in any case are accepted.

    Raises:
        OrderInvalid: it is something else.
    """
    if isinstance(side, Side):
        return side
    found = _SIDES.get(side.lower()) if isinstance(side, str) else None
    if found is None:
        raise OrderInvalid(f'side={side!r:.40} must be "buy" or "sell", or a Side')
    return found


def to_time_in_force(time_in_force: TimeInForce | str) -> TimeInForce:
    """*time_in_force* as a :class:`TimeInForce`; strings in any case are accepted.

    Raises:
        OrderInvalid: it is something else.
    """
    if isinstance(time_in_force, TimeInForce):
        return time_in_force
    found = _TIMES_IN_FORCE.get(time_in_force.lower()) if isinstance(time_in_force, str) else None
    if found is None:
        raise OrderInvalid(
            f'time_in_force={time_in_force!r:.40} must be "gtc" (good till cancelled), "fok" (fill or kill) or "ioc" '
            f"(immediate or cancel), or a TimeInForce"
        )
    return found


def check_id(value: object, name: str) -> int:
    """*value* as an order id or client order id, called *name* in an error.

    Raises:
        OrderInvalid: it is not an int (bools are not accepted), or does not fit into 64 bits.
    """
    if type(value) is not int:
        raise OrderInvalid(f"{name}={value!r:.40} must be an int, not {type(value).__name__}")
    if not -(2**63) <= value < 2**63:
        raise OrderInvalid(f"{name}={value!r:.40} does not fit into 64 bits")
    return value


def place_message(
    trade_pair: str,
    side: Side | str,
    *,
    amount: AmountLike,
    price: AmountLike,
    time_in_force: TimeInForce | str = TimeInForce.GTC,
    ttl: int = 0,
    client_order_id: int | None,
) -> PlaceOrder:
    """The message that places this order: one of six, for each side and time in force.

    Args:
        trade_pair: base and quote currency, ``"BTC_USD"``.
        side: ``"buy"`` or ``"sell"``, in any case, or a :class:`Side`.
        amount: how much of the base currency.
        price: the limit, in the quote currency.
        time_in_force: ``"gtc"``, ``"fok"`` or ``"ioc"``, in any case, or a :class:`TimeInForce`.
        ttl: seconds until the exchange cancels the remainder, in whole minutes; 0 = never.
        client_order_id: the client's own number for the order.

    Raises:
        OrderInvalid: an argument has the wrong type or a value that is not listed above, or an amount or price is a
            float, not a number, or not greater than zero.
    """
    if type(side) is not Side:
        side = to_side(side)
    if type(time_in_force) is not TimeInForce:
        time_in_force = to_time_in_force(time_in_force)
    if client_order_id is not None and type(client_order_id) is not int:
        check_id(client_order_id, "client_order_id")
    return _KINDS[side, time_in_force](trade_pair, amount, price, client_order_id, ttl)
