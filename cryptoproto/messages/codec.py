"""JSON bytes to typed messages and back."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeAlias, cast, get_args

import msgspec
import orjson

from ..exceptions import ConfigurationError, DecodeError, OrderInvalid
from .account import DepositTransactionAccepted, SetBalance, WithdrawalTransactionAccepted
from .amounts import plain
from .base import Message, Unknown
from .malformed import MALFORMED
from .market import AnonymousTrade, OrderBookAgg, TradesDisabledOnPairs, TradesEnabledOnPairs, TradingRules
from .orders import (
    BuyOrderAmountChanged,
    BuyOrderCancelled,
    BuyOrderClosed,
    BuyOrderPlaced,
    CancelAllOrders,
    CancelOrder,
    InsufficientFunds,
    OrderNotFound,
    PlaceBuyFoKOrder,
    PlaceBuyIoCOrder,
    PlaceBuyLimitOrder,
    PlaceSellFoKOrder,
    PlaceSellIoCOrder,
    PlaceSellLimitOrder,
    SellOrderAmountChanged,
    SellOrderCancelled,
    SellOrderClosed,
    SellOrderPlaced,
    check_cancel,
    check_place,
)
from .rpc import UserBalanceRequest, UserBalanceResponse, UserOrdersRequest, UserOrdersResponse
from .trades import OwnTrade

__all__ = [
    "ClientMessage",
    "Outgoing",
    "Request",
    "decode",
    "decode_client_message",
    "decode_request",
    "encode",
    "loads",
]

Outgoing: TypeAlias = Message | Mapping[str, Any] | bytes
"""What can be sent: a typed message, any mapping, or JSON bytes as they are."""

ClientMessage: TypeAlias = (
    PlaceBuyLimitOrder
    | PlaceSellLimitOrder
    | PlaceBuyFoKOrder
    | PlaceSellFoKOrder
    | PlaceBuyIoCOrder
    | PlaceSellIoCOrder
    | CancelOrder
    | CancelAllOrders
)
Request: TypeAlias = UserOrdersRequest | UserBalanceRequest

_FROM_SERVER: Final = msgspec.json.Decoder[Any](
    BuyOrderPlaced
    | SellOrderPlaced
    | BuyOrderAmountChanged
    | SellOrderAmountChanged
    | BuyOrderCancelled
    | SellOrderCancelled
    | BuyOrderClosed
    | SellOrderClosed
    | OrderNotFound
    | InsufficientFunds
    | OwnTrade
    | SetBalance
    | DepositTransactionAccepted
    | WithdrawalTransactionAccepted
    | TradesDisabledOnPairs
    | TradesEnabledOnPairs
    | UserOrdersResponse
    | UserBalanceResponse
    | OrderBookAgg
    | AnonymousTrade
    | TradingRules
)
_KNOWN: Final = frozenset(kind.__name__ for kind in _FROM_SERVER.type.__args__)
_MESSAGES: Final = msgspec.json.Decoder[Any](ClientMessage)
_UNKNOWN_TYPE: Final = re.compile(r"Invalid value '(.*)' - at `\$\.@type`", re.DOTALL)
_REQUESTS: Final = msgspec.json.Decoder[Any](Request)

_decode_from_server: Final[Callable[[bytes], Message]] = _FROM_SERVER.decode
_encode: Final = msgspec.json.Encoder().encode
_E: Final = ord("E")

# What each type of message is checked for before it is sent: the exchange ends the connection over an order that it
# cannot read.
_CHECKS: Final[dict[type, Callable[[Any], None] | None]] = {
    **dict.fromkeys((*_FROM_SERVER.type.__args__, *get_args(Request), CancelAllOrders)),
    PlaceBuyLimitOrder: check_place,
    PlaceSellLimitOrder: check_place,
    PlaceBuyFoKOrder: check_place,
    PlaceSellFoKOrder: check_place,
    PlaceBuyIoCOrder: check_place,
    PlaceSellIoCOrder: check_place,
    CancelOrder: check_cancel,
}


def decode(raw: bytes) -> Message | Unknown:
    """The typed message in the JSON object *raw*, as sent by an exchange.

    Unknown fields are ignored; an unknown ``@type`` gives an :class:`Unknown` with the whole payload.

    Raises:
        DecodeError: *raw* is not a JSON object, or a message of a known type has a missing or mistyped field.
    """
    try:
        return _decode_from_server(raw)
    except MALFORMED as error:
        return _unknown(raw, error)


def _unknown(raw: bytes, cause: Exception) -> Unknown:
    payload = loads(raw)
    kind = payload.get("@type", "")
    if not isinstance(kind, str) or kind in _KNOWN:
        raise DecodeError(f"malformed {kind if isinstance(kind, str) else 'message'} payload: {cause}") from None
    return Unknown(type=kind, payload=payload)


def loads(raw: bytes) -> dict[str, Any]:
    """The JSON object *raw* as a dict.

    Raises:
        DecodeError: *raw* is not a JSON object.
    """
    try:
        payload = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"malformed JSON payload: {error}") from None
    if not isinstance(payload, dict):
        raise DecodeError(f"malformed payload: expected a JSON object, got {type(payload).__name__}")
    return payload


def decode_client_message(raw: bytes) -> ClientMessage:
    """The client message in *raw*, as an exchange reads it.

    Raises:
        DecodeError: *raw* is not valid JSON, its message type is unknown, or a field is missing or mistyped.
    """
    return cast("ClientMessage", _strictly(_MESSAGES, raw))


def decode_request(raw: bytes) -> Request:
    """The RPC request in *raw*, as an exchange reads it.

    Raises:
        DecodeError: as for :func:`decode_client_message`.
    """
    return cast("Request", _strictly(_REQUESTS, raw))


def _strictly(decoder: msgspec.json.Decoder[Any], raw: bytes) -> Any:
    try:
        return decoder.decode(raw)
    except MALFORMED as error:
        unknown = _UNKNOWN_TYPE.fullmatch(str(error))
        raise DecodeError(
            str(error) if unknown is None else f"there is no message of the type '{unknown[1][:60]}'"
        ) from None


def encode(message: Outgoing) -> bytes:
    """*message* as JSON bytes, amounts as strings of plain digits.

    Raises:
        OrderInvalid: an order or cancellation holds a value that the exchange would reject; see :class:`PlaceOrder`.
        ConfigurationError: it is not a message, or holds a value that cannot be written as JSON.
    """
    if type(message) is bytes:
        return message
    try:
        check = _CHECKS[type(message)]
    except KeyError:
        return _encode_untyped(message)
    if check is not None:
        check(message)
    try:
        raw = _encode(message)
        # msgspec writes str(Decimal), which uses an exponent below 1e-6 and for zeroes such as 0E-8. Searching for one
        # byte by its number is ten times as fast as for two, and is enough for nearly all messages.
        if _E in raw and (b"E-" in raw or b"E+" in raw):
            return _in_plain_digits(cast("Message", message))
    except (TypeError, ValueError, RecursionError) as error:
        rejected = ConfigurationError if check is None else OrderInvalid
        raise rejected(f"the {type(message).__name__} cannot be written as JSON: {error}") from None
    return raw


def _encode_untyped(message: Outgoing) -> bytes:
    if isinstance(message, bytes):
        return message
    if isinstance(message, Message):  # a type that the protocol does not define
        message = message.payload
    if not isinstance(message, Mapping):
        raise ConfigurationError(
            f"a {type(message).__name__} is not a message; send a typed message, a mapping or JSON bytes"
        )
    try:
        raw = orjson.dumps(message if isinstance(message, dict) else dict(message), default=_default)
    except orjson.JSONEncodeError as error:
        raise ConfigurationError(f"the message cannot be written as JSON: {error.__cause__ or error}") from None
    # orjson writes null for NaN and infinities.
    if b"null" in raw and _not_finite(message):
        raise ConfigurationError("the message cannot be written as JSON: it holds a float that is not finite")
    return raw


def _not_finite(value: object) -> bool:
    """Whether *value* contains NaN or an infinity as a float."""
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, Mapping):
        return any(_not_finite(item) for item in value.values())
    return isinstance(value, list | tuple) and any(_not_finite(item) for item in value)


def _in_plain_digits(message: Message) -> bytes:
    if not type(message).__struct_config__.omit_defaults:
        fields = {"@type": type(message).__name__} | msgspec.structs.asdict(message)
        try:
            return orjson.dumps(fields, default=_default)
        except orjson.JSONEncodeError:  # a book: its keys are Decimals, which orjson does not pass to the default
            pass
    return orjson.dumps(message.payload)


def _default(value: object) -> object:
    if isinstance(value, Decimal) and value.is_finite():
        return plain(value)
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.asdict(value)
    raise TypeError(f"{value!r} is neither JSON nor a finite Decimal")
