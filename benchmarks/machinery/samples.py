"""What the measurements send: one order, and events whose V5 frames have exactly 224 bytes."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Final, TypeAlias

import cryptoproto as cp
from cryptoproto.wire import ClientSession, Opened, ServerSession

__all__ = [
    "BALANCE",
    "BALANCE_REQUEST_FRAME_BYTES",
    "CLIENT_ID",
    "EVENT_FRAME_BYTES",
    "ORDER",
    "ORDER_AS_DICT",
    "ORDER_EVENTS",
    "STANDING_ORDERS",
    "TIMESTAMP",
    "event_json",
    "open_sessions",
    "order_event_json",
    "sized_event_json",
    "standing_order_json",
]

Random: TypeAlias = Callable[[int], bytes]

CLIENT_ID: Final = "alice"
EVENT_FRAME_BYTES: Final = 224
TIMESTAMP: Final = 1_700_000_000.25

ORDER: Final = cp.PlaceBuyLimitOrder(
    trade_pair="BTC_USD", amount="0.25000000", price="15000.00", client_order_id=70_001
)
ORDER_AS_DICT: Final = {
    "@type": "PlaceBuyLimitOrder",
    "trade_pair": "BTC_USD",
    "amount": "0.25000000",
    "price": "15000.00",
    "client_order_id": 70_001,
    "ttl": 0,
}
# As short as a real response can be, so that a round trip measures little of the JSON decoder.
BALANCE: Final = (
    b'{"@type":"UserBalanceResponse","account_id":4711,"balances":{"USD":{"available":"996250.0","on_hold":"3750.0"}}}'
)
BALANCE_REQUEST_FRAME_BYTES: Final = 80


def event_json(number: int) -> bytes:
    """The JSON of event *number*: a partial fill, with amounts and ids that change from event to event."""
    return (
        b'{"@type":"BuyOrderAmountChanged","order_id":%d,"client_order_id":%d,"trade_pair":"BTC_USD",'
        b'"amount":"0.%08d","fee":"0.%08d","time":[1700000000,%d]}'
    ) % (
        1_000_000_000 + number,
        70_000 + number % 10_000,
        number * 7919 % 10**8,
        number * 104_729 % 10**6,
        100_000 + number % 900_000,
    )


def sized_event_json(size: int, number: int) -> bytes:
    """The same event with a field that clients do not know, so that it has *size* bytes."""
    plain = event_json(number)
    return b'%b,"note":"%b"}' % (plain[:-1], b"n" * max(0, size - len(plain) - len(b',"note":""')))


ORDER_EVENTS: Final = 6
"""How many events an order has from its placement to its end."""


def order_event_json(number: int) -> bytes:
    """The JSON of event *number* of a client whose orders, one after the other, rest, are filled and are closed.

    These are the events and fields that the embedded exchange sends for such an order.
    """
    order, step = divmod(number - 1, ORDER_EVENTS)
    head = b'"order_id":%d,"trade_pair":"BTC_USD","time":[1700000000,%d],"client_order_id":%d' % (
        order + 1,
        number % 1_000_000,
        900_000_000_000_000_000 + 32 * order,
    )
    at = b'"time":[1700000000,%d]' % (number % 1_000_000)
    return (
        b'{"@type":"SetBalance","currency":"USD","balance":"%d.00000000","change":"-3750.00000000",'
        b'"reason":"on_hold",%b}' % (10**11 - 3750 * order, at),
        b'{"@type":"BuyOrderPlaced",%b,"price":"15000.00000000","initial_amount":"0.25000000",'
        b'"amount":"0.25000000","closed_inline":false}' % head,
        b'{"@type":"OwnTrade",%b,"amount":"0.25000000","price":"15000.00000000","maker":true,"maker_buy":true}' % head,
        b'{"@type":"BuyOrderAmountChanged",%b,"amount":"0.00000000","fee":"0.00000000"}' % head,
        b'{"@type":"SetBalance","currency":"BTC","balance":"%d.25000000","change":"0.25000000","reason":"trade",%b}'
        % (order, at),
        b'{"@type":"BuyOrderClosed",%b}' % head,
    )[step]


STANDING_ORDERS: Final = 167 * ORDER_EVENTS
"""About a thousand, and as many events as whole orders have."""


def standing_order_json(number: int) -> bytes:
    """The JSON of event *number*: an order that rests and stays."""
    return (
        b'{"@type":"SellOrderPlaced","order_id":%d,"trade_pair":"BTC_USD","time":[1700000000,%d],"client_order_id":%d,'
        b'"price":"%d.00000000","initial_amount":"0.25000000","amount":"0.25000000","closed_inline":false}'
    ) % (3_000_000_000 + number, number % 1_000_000, 800_000_000_000_000_000 + number, 16_000 + number)


@functools.cache
def _keys() -> tuple[cp.PrivateKey, cp.PrivateKey]:
    return cp.PrivateKey.generate(), cp.PrivateKey.generate()


def open_sessions(
    protocol: cp.Protocol, client_random: Random = os.urandom, server_random: Random = os.urandom
) -> tuple[ClientSession, ServerSession]:
    """A client's session and a server's after their handshake, in memory."""
    client_key, server_key = _keys()
    client = ClientSession(
        client_id=CLIENT_ID,
        private_key=client_key,
        server_key=server_key.public_key,
        random=client_random,
        protocol=protocol,
    )
    server = ServerSession(server_key, server_random)
    server.receive(client.hello())
    opened = client.receive(server.accept(client_key.public_key, 0))
    if not isinstance(opened, Opened):
        raise TypeError(f"the handshake gave {opened!r}")
    server.receive(opened.proof)
    return client, server
