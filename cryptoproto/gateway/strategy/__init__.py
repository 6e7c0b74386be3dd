"""The side of a strategy: a client whose exchange session belongs to a gateway on another machine."""

from __future__ import annotations

from .client import GatewayClient
from .market_data import GatewayMarketData

__all__ = ["GatewayClient", "GatewayMarketData"]
