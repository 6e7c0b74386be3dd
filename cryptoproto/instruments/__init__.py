"""The rules of a trade pair and a trader's own limits: what an order has to satisfy before it is sent."""

from __future__ import annotations

from .instrument import Instrument
from .trade_pair import split_pair

__all__ = ["Instrument", "split_pair"]
