"""A gateway on loopback that verifies API keys, in this process."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from cryptoproto import PrivateKey
from cryptoproto.apikeys.server import ApiKey, ApiKeysConfig, Gatekeeper, KeyStore, SessionSettings
from cryptoproto.apikeys.server.demonstration import demonstration_app, running

__all__ = ["API_KEY", "gateway"]

API_KEY: Final = "TEST_SESSION_API_KEY"


@asynccontextmanager
async def gateway(key: PrivateKey) -> AsyncIterator[str]:
    """Serve on loopback while the block runs, and yield the address; ``API_KEY`` logs in with *key*."""
    public = base64.b64encode(key.public_key.to_der()).decode()
    keys = KeyStore.of(ApiKey.parse(API_KEY, public, "admin", ["TB_ALLOW_READ"]))
    gatekeeper = Gatekeeper(ApiKeysConfig(keys, SessionSettings(enabled=True)))
    async with running(demonstration_app(gatekeeper)) as url:
        yield url
