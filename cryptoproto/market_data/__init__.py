"""The public market data of an exchange, with a local order book for each pair."""

from __future__ import annotations

from .base import Feed, FeedObserver
from .book import Level, OrderBook
from .feed import MarketData
from .states import FeedState, FeedStateChange
from .update_queue import MarketUpdate

__all__ = ["Feed", "FeedObserver", "FeedState", "FeedStateChange", "Level", "MarketData", "MarketUpdate", "OrderBook"]
