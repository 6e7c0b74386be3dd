"""What a profile can hold: its keys, their types, and the words for a value that cannot be used."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Required, TypedDict, get_type_hints

import msgspec
from msgspec import Meta

from ..arguments import check_url
from ..exceptions import ConfigurationError
from ..instruments import Instrument, OrderLimits

__all__ = [
    "KEYS",
    "PATHS",
    "InstrumentValues",
    "LimitValues",
    "ProfileValues",
    "check_value",
    "check_values",
    "did_you_mean",
    "expanded",
    "joined",
]

Text = Annotated[str, Meta(pattern=r"\A[^\x00]+\Z", description="text in quotes")]
Number = Annotated[float, Meta(gt=0, le=1e9, description="a number greater than zero")]
Flag = Annotated[bool, Meta(description="true or false")]
Words = Annotated[
    list[Text], Meta(min_length=1, max_length=100, description='a list of texts like ["pass", "show", "alice"]')
]
Exact = Annotated[Decimal, Meta(description="a number greater than zero, or one in quotes")]
ByName = Annotated[
    Decimal | dict[str, Decimal], Meta(description="a number greater than zero, or a table of them by pair or currency")
]
Count = Annotated[int, Meta(ge=1, le=1_000_000, description="a whole number, 1 or more")]
Tables = Annotated[list[dict[str, Any]], Meta(max_length=100_000, description="a table for each instrument")]
Table = Annotated[dict[str, Any], Meta(description="a table")]
ProtocolText = Annotated[Literal["signed", "v5"], Meta(description='"signed" or "v5"')]
TransportText = Annotated[Literal["auto", "websockets", "picows"], Meta(description='"auto", "websockets" or "picows"')]
WhenStale = Annotated[Literal["refuse", "allow"], Meta(description='"refuse" or "allow"')]
Resend = Annotated[Literal["never", "once"], Meta(description='"never" or "once"')]


class InstrumentValues(TypedDict, total=False):
    """The rules of one trade pair: a table ``[[profiles.NAME.instruments]]``."""

    trade_pair: Required[Text]
    tick_size: Exact
    lot_size: Exact
    min_amount: Exact
    max_amount: Exact
    min_value: Exact
    max_value: Exact


class LimitValues(TypedDict, total=False):
    """Limits that orders are checked against before they are sent: a table ``[profiles.NAME.limits]``."""

    pairs: Words
    max_amount: ByName
    max_value: ByName
    max_pair_open_value: ByName
    max_open_value: ByName
    max_orders_per_second: Count
    price_band: ByName
    when_stale: WhenStale


class ProfileValues(TypedDict, total=False):
    """The keys of a profile, as they stand in the file; docs/profiles.md describes them."""

    url: Text
    client_id: Text
    key: Text
    server_key: Text
    protocol: ProtocolText
    market_data_url: Text
    store: Text
    history: Flag
    nats: Text
    transport: TransportText
    insecure: Flag
    exclusive: Flag
    resend: Resend
    order_rate: Number
    cancel_on_exit: Flag
    keep_cancels_ready: Count
    signer_threads: Count
    open_timeout: Number
    request_timeout: Number
    ping_interval: Number
    ping_timeout: Number
    password_command: Words
    instruments: Tables
    limits: Table


_MOST_DIGITS: Final = 30

PATHS: Final = ("key", "server_key", "store")
"""The keys that hold the path of a file."""

KEYS: Final[Mapping[str, Any]] = get_type_hints(ProfileValues, include_extras=True)
_INSTRUMENT_KEYS: Final[Mapping[str, Any]] = {
    **get_type_hints(InstrumentValues, include_extras=True),
    "trade_pair": Text,
}
_LIMIT_KEYS: Final[Mapping[str, Any]] = get_type_hints(LimitValues, include_extras=True)


def check_values(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The checked values of a profile; numbers with decimals are expected as Decimal.

    Args:
        table: the table of the file.
        where: what the errors name: "[profiles.paper] of /home/alice/config.toml".

    Raises:
        ConfigurationError: a key is unknown, or a value cannot be used.
    """
    _check_keys(table, KEYS, where)
    checked = {key: check_value(key, value, f"{key} in {where}") for key, value in table.items()}
    if "instruments" in checked:
        checked["instruments"] = _instruments(checked["instruments"], where)
    if "limits" in checked:
        checked["limits"] = _limits(checked["limits"], f"limits in {where}")
    return checked


def check_value(key: str, value: object, source: str) -> Any:
    """One value of a profile, converted to its type.

    Args:
        key: its key, a known one.
        value: the value.
        source: what the error names: "CRYPTOPROTO_PROTOCOL", "url in [profiles.paper] of …".

    Raises:
        ConfigurationError: it cannot be used.
    """
    checked = _converted(value, KEYS[key], source)
    if key in PATHS:
        return expanded(checked, source)
    if key in ("url", "market_data_url"):
        try:
            check_url(checked, insecure=True)  # whether ws:// is allowed is known once all sources are read
        except ConfigurationError as error:
            raise ConfigurationError(f"{source}: {error}") from None
    return checked


def expanded(path: str, source: str) -> str:
    """*path* with the home folder in place of ``~``.

    Raises:
        ConfigurationError: it begins with ``~`` and a name that no user has.
    """
    try:
        return str(Path(path).expanduser())
    except RuntimeError:
        raise ConfigurationError(f"{source}: {path.partition('/')[0]} is not the home folder of a user") from None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``"; did you mean 'server_key'?"``, or nothing if no known name is similar."""
    near = difflib.get_close_matches(name.lower(), known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def joined(names: Sequence[str], word: str = "and") -> str:
    """``"url, key and server_key"``."""
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last


def _check_keys(table: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    for key in table:
        if key not in known:
            hint = did_you_mean(key, known) or f"; known are {', '.join(known)}"
            raise ConfigurationError(f"unknown key {key!r} in {where}{hint}")


def _instruments(tables: list[dict[str, Any]], where: str) -> list[dict[str, Any]]:
    instruments = []
    pairs: set[str] = set()
    for number, table in enumerate(tables, 1):
        here = f"instrument {number} of {where}"
        _check_keys(table, _INSTRUMENT_KEYS, here)
        checked = {key: _converted(value, _INSTRUMENT_KEYS[key], f"{key} of {here}") for key, value in table.items()}
        if "trade_pair" not in checked:
            raise ConfigurationError(f'{here} has no trade_pair; write trade_pair = "BTC_USD"')
        if checked["trade_pair"] in pairs:
            raise ConfigurationError(f"{here}: {checked['trade_pair']} has an instrument above already")
        pairs.add(checked["trade_pair"])
        try:
            Instrument(**checked)
        except ConfigurationError as error:
            raise ConfigurationError(f"{here}: {error}") from None
        instruments.append(checked)
    return instruments


def _limits(table: dict[str, Any], where: str) -> dict[str, Any]:
    _check_keys(table, _LIMIT_KEYS, where)
    limits = {key: _converted(value, _LIMIT_KEYS[key], f"{key} of {where}") for key, value in table.items()}
    try:
        OrderLimits(**limits, book=_no_book if "price_band" in limits else None)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None
    return limits


def _no_book(_trade_pair: str) -> None:
    """In place of the book that a price band needs: a profile has none."""


def _converted(value: object, kind: Any, source: str) -> Any:
    """*value* as *kind*. The error never shows the value, because it might be a secret in the wrong place."""
    try:
        converted = msgspec.convert(value, kind)
    except msgspec.ValidationError:
        converted = None
    if converted is None or not all(map(_is_usable, _numbers(converted))):
        raise ConfigurationError(f"{source} must be {kind.__metadata__[0].description}")
    return converted


def _numbers(value: object) -> list[Decimal]:
    """The decimal numbers that a value is or holds."""
    values = value.values() if isinstance(value, dict) else (value,)
    return [each for each in values if isinstance(each, Decimal)]


def _is_usable(number: Decimal) -> bool:
    """Whether it is a number greater than zero, and short in plain digits."""
    return number.is_finite() and number > 0 and -_MOST_DIGITS < number.adjusted() < _MOST_DIGITS
