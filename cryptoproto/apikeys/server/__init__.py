"""The verifying side of API keys: ASGI middleware, login calls, a STOMP endpoint, configurations.

Needs the ``apikeys`` and ``server`` extras.
"""

from __future__ import annotations

from ...extras import needs

with needs("cryptoproto.apikeys.server", "apikeys", "server"):
    from .config import ApiKeysConfig, SessionSettings, load_config
    from .gatekeeper import Gatekeeper
    from .key_store import ApiKey, KeyStore
    from .middleware import ApiKeysMiddleware
    from .request_check import Principal, RequestCheck
    from .session_table import SessionTable
    from .stomp_broker import Delivery, StompBroker
    from .stomp_endpoint import StompEndpoint
    from .stomp_peer import Authorize, allow_by_authorities

__all__ = [
    "ApiKey",
    "ApiKeysConfig",
    "ApiKeysMiddleware",
    "Authorize",
    "Delivery",
    "Gatekeeper",
    "KeyStore",
    "Principal",
    "RequestCheck",
    "SessionSettings",
    "SessionTable",
    "StompBroker",
    "StompEndpoint",
    "allow_by_authorities",
    "load_config",
]
