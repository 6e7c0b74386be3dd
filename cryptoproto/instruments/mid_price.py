"""The mid of an order book, wherever the book comes from."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Protocol, TypeAlias, cast

from ..exceptions import ConfigurationError

__all__ = ["BookSource", "Books", "MidBook", "mid_reader"]


class MidBook(Protocol):
    """An order book with a mid; :class:`~cryptoproto.OrderBook` is one."""

    @property
    def trade_pair(self) -> str:
        """The pair."""

    @property
    def is_stale(self) -> bool:
        """Whether its content is out of date."""

    @property
    def mid(self) -> Decimal | None:
        """The price halfway between the best bid and the best ask; ``None`` if a side is empty."""


class Books(Protocol):
    """Something with a book for each pair; :class:`~cryptoproto.MarketData` is one."""

    def book(self, trade_pair: str, /) -> MidBook:
        """The book of a pair."""


BookSource: TypeAlias = Books | MidBook | Callable[[str], MidBook | None]
"""Where the books come from: a MarketData, the OrderBook of the only pair, or a function that takes the pair."""


def mid_reader(source: BookSource) -> Callable[[str], Decimal | str]:
    """A function that returns the mid of a pair, or says why there is none.

    Raises:
        ConfigurationError: *source* cannot be used.
    """
    if hasattr(source, "mid"):
        book_of = _only(cast("MidBook", source))
    elif hasattr(source, "book"):
        book_of = cast("Books", source).book
    elif callable(source):
        book_of = source
    else:
        raise ConfigurationError(
            f"book={source!r:.60} must be a MarketData, an OrderBook, or a function that returns the book of a pair"
        )

    def mid_of(trade_pair: str) -> Decimal | str:
        try:
            book = book_of(trade_pair)
        except ConfigurationError as error:  # a feed that does not keep the pair
            return f"there is no book of {trade_pair}: {error}"
        if book is None:
            return f"there is no book of {trade_pair}"
        if book.is_stale:
            return f"the book of {trade_pair} is stale"
        return book.mid or f"a side of the book of {trade_pair} is empty"

    return mid_of


def _only(book: MidBook) -> Callable[[str], MidBook | None]:
    return lambda trade_pair: book if book.trade_pair == trade_pair else None
