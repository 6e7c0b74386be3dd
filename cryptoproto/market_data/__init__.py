"""The public market data of an exchange, with a local order book for each pair."""

from __future__ import annotations

from .arguments import FeedArguments, FeedCall, FeedOverrides, feed_arguments
from .base import Feed, FeedObserver
from .book import BookSide, Level, OrderBook
from .feed import MarketData
from .fetch_instruments import fetch_instruments
from .states import FeedState, FeedStateChange
from .update_queue import MarketUpdate

__all__ = [
    "BookSide",
    "Feed",
    "FeedArguments",
    "FeedCall",
    "FeedObserver",
    "FeedOverrides",
    "FeedState",
    "FeedStateChange",
    "Level",
    "MarketData",
    "MarketUpdate",
    "OrderBook",
    "feed_arguments",
    "fetch_instruments",
]
