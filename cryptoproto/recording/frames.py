"""Candles and trades as frames of pandas or polars (extra ``frames``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import chain, islice
from typing import Any, Final, Literal

from .. import frames
from ..messages import AnonymousTrade
from .candles import Candle

__all__ = ["to_frame"]

_CANDLE: Final[frames.Columns] = {
    "trade_pair": str,
    **dict.fromkeys(("start", "end"), datetime),
    **dict.fromkeys(("open", "high", "low", "close", "volume", "buy_volume", "turnover"), Decimal),
    "trades": int,
    "has_gap": bool,
}
_TRADE: Final[frames.Columns] = {
    "trade_pair": str,
    "current_order_id": int,
    **dict.fromkeys(("amount", "price"), Decimal),
    "maker_buy": bool,
    "at": datetime,
}


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
        exact: numbers are exact, with 18 digits after the point: ``decimal.Decimal`` objects in pandas,
            ``Decimal(38, 18)`` in polars. Otherwise they are 64-bit floats, which are faster.

    Raises:
        ConfigurationError: there is no such library, it is not installed, or a number does not fit.
    """
    given: Iterator[Any] = iter(rows)
    first = list(islice(given, 1))
    columns = _TRADE if first and isinstance(first[0], AnonymousTrade) else _CANDLE
    return frames.to_frame(columns, chain(first, given), library, exact=exact)
