"""The options of a gateway, in one value."""

from __future__ import annotations

import os
import ssl as ssl_module

import msgspec

from ..reconnect import Backoff

__all__ = ["GatewaySettings"]


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a :class:`~cryptoproto.gateway.Gateway`, which describes them."""

    nats_url: str
    url: str
    lease_s: float
    replicas: int
    keep_events_s: float | None
    keep_events: int | None
    order_rate: float | None
    backoff: Backoff | None
    market_data_url: str | None
    publish_market_data: bool
    nkey_seed: str | os.PathLike[str] | None
    nats_tls: ssl_module.SSLContext | None
