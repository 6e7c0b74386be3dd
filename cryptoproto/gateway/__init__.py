"""One exchange session for many machines, shared over NATS JetStream, with hot standbys."""

from __future__ import annotations

from ..extras import needs

with needs("cryptoproto.gateway", "gateway"):
    from .feed import GatewayFeed
    from .gateway import Gateway
    from .operations import GatewayStatus, OperationReply, Operator, StrategyStatus
    from .strategy import GatewayClient, GatewayMarketData
    from .strategy_limits import StrategyLimits

__all__ = [
    "Gateway",
    "GatewayClient",
    "GatewayFeed",
    "GatewayMarketData",
    "GatewayStatus",
    "OperationReply",
    "Operator",
    "StrategyLimits",
    "StrategyStatus",
]
