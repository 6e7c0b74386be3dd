"""The public feed of an exchange, with a local order book for each pair."""

from __future__ import annotations

from .book import Level, OrderBook
from .feed import MarketData
from .states import FeedState, FeedStatus
from .update_queue import MarketUpdate

__all__ = ["FeedState", "FeedStatus", "Level", "MarketData", "MarketUpdate", "OrderBook"]
