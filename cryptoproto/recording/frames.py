"""Candles and trades as frames of pandas or polars (extra ``frames``)."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final, Literal

from ..exceptions import ConfigurationError
from ..messages import AnonymousTrade
from .candles import Candle

__all__ = ["to_frame"]

_CANDLE: Final = Candle.__struct_fields__
_TRADE: Final = ("trade_pair", "current_order_id", "amount", "price", "maker_buy", "at")


def to_frame(
    rows: Iterable[Candle] | Iterable[AnonymousTrade],
    library: Literal["pandas", "polars"] = "pandas",
    *,
    exact: bool = True,
) -> Any:
    """A ``pandas.DataFrame`` or ``polars.DataFrame`` of candles or trades, one row each.

    The columns are the fields of :class:`Candle`, or of :class:`~cryptoproto.AnonymousTrade` with its time as ``at``.

    Args:
        rows: candles or trades; not both.
        library: which library.
        exact: numbers are exact: ``decimal.Decimal`` objects in pandas, ``Decimal(38, 18)`` in polars. Otherwise they
            are 64-bit floats, which are faster.

    Raises:
        ConfigurationError: there is no such library, or it is not installed.
    """
    if library not in ("pandas", "polars"):
        raise ConfigurationError(f'library={library!r:.40} must be "pandas" or "polars"')
    try:
        frames: Any = importlib.import_module(library)
    except ImportError:
        raise ConfigurationError(f"{library} is not installed: pip install 'cryptoproto[frames]'") from None
    kept = list(rows)
    names = _TRADE if kept and isinstance(kept[0], AnonymousTrade) else _CANDLE
    columns = {name: [getattr(row, name) for row in kept] for name in names}
    numbers = [name for name, values in columns.items() if values and isinstance(values[0], Decimal)]
    if not exact:
        columns |= {name: list(map(float, columns[name])) for name in numbers}
    if library == "pandas":
        return frames.DataFrame(columns)
    kinds = {name: frames.Decimal(38, 18) for name in numbers if exact}
    return frames.DataFrame(columns, schema_overrides=kinds)
