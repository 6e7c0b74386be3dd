"""What one strategy may do, as operators set it and the key-value bucket keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from ..arguments import check_count
from ..exceptions import ConfigurationError
from ..instruments import OrderLimits
from ..messages import AsDict

__all__ = ["StrategyLimits"]


class StrategyLimits(AsDict, msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The limits of one strategy, held by the gateway. Each is off by default.

    Only the strategy's own orders count. An order that a limit refuses is neither logged nor sent.

    Attributes:
        max_orders_per_second: how many orders it may place within one second.
        max_open_orders: how many orders it may have that have not ended, the new one included.
        max_open_value: the largest sum of amount x price of these orders, by quote currency.
        price_band: how far a price may be from the mid of the book, as a fraction of the mid; needs the gateway to
            have market data. Orders are refused while there is no mid.

    Raises:
        ConfigurationError: a limit cannot be used.
    """

    max_orders_per_second: int | None = None
    max_open_orders: int | None = None
    max_open_value: dict[str, Decimal] = {}
    price_band: Decimal | None = None

    def __post_init__(self) -> None:
        if self.max_open_orders is not None:
            check_count("max_open_orders", self.max_open_orders, 1)
        self.order_limits(lambda pair: None)

    def order_limits(self, book: Any) -> OrderLimits:
        """The limits that apply to each order alone or to the value of all; *book* as for OrderLimits."""
        return OrderLimits(
            max_open_value=self.max_open_value or None,
            max_orders_per_second=self.max_orders_per_second,
            price_band=self.price_band,
            book=None if self.price_band is None else book,
        )

    def changed(self, changes: Mapping[str, Any]) -> StrategyLimits:
        """A copy with other values for some limits; ``None`` removes a limit.

        Values are those of JSON: amounts are strings. Of ``max_open_value`` only the currencies that are named change.

        Raises:
            ConfigurationError: there is no such limit, or its value cannot be used.
        """
        fields: dict[str, Any] = msgspec.to_builtins(self)
        for name, value in changes.items():
            if name not in self.__struct_fields__:
                raise ConfigurationError(f"there is no limit {name!r:.60}: {', '.join(self.__struct_fields__)}")
            if name == "max_open_value" and isinstance(value, Mapping):
                merged = {**fields.get(name, {}), **value}
                fields[name] = {currency: most for currency, most in merged.items() if most is not None}
            elif value is None:
                fields.pop(name, None)
            else:
                fields[name] = value
        try:
            return msgspec.convert(fields, StrategyLimits)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"the limits cannot be used: {error}") from None
