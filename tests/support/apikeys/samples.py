"""Keys, a small group and gatekeepers for the tests of API keys."""

from __future__ import annotations

import base64
from collections.abc import Callable

from cryptoproto.apikeys import ApiKeyAuth, Group, GroupLimits
from cryptoproto.apikeys.server import ApiKeysConfig, Gatekeeper, KeyStore, SessionSettings

__all__ = [
    "AUTH",
    "PLACEHOLDERS",
    "READ_WRITE",
    "SEED_PUBLIC_KEY",
    "SMALL_GROUP",
    "SMALL_LIMITS",
    "base64_of",
    "session_gatekeeper_of",
]

AUTH = ApiKeyAuth("TEST_API_KEY", "TEST_API_SECRET")
READ_WRITE = ("TB_ALLOW_READ", "TB_ALLOW_WRITE")
SMALL_GROUP = Group(base=5, modulus=0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF61)  # a prime of 128 bits
SMALL_LIMITS = GroupLimits(minimum_bits=16)
SEED_PUBLIC_KEY = (
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDq/Y/kEag9vPlfPu2dzFUeuPTZX94g85v/L3TxRvXHmR1IQtjOSPCtY4NmzeLb3rLwf0J2"
    "+X8HeC3Fva6oRVl5hora77cOTmLuTmEZe6oVxjFvdRsQqfcUlAqijViiPMlnDQZ/HsC6S7WLZyMwatdbBsFtnbT9fb3m4VDeakUVQwIDAQAB"
)

PLACEHOLDERS = """\
security:
  authorization:
    source: CONFIG # valid values: FILE, CONFIG
  api-keys-provider:
    api-keys: # list of api keys and their users
      - name: api key name
        key: api key
        user: api key user
        authorities: [TB_ALLOW_READ, TB_ALLOW_WRITE] # Specify authorities for api key
      - name: api key name
        key: api key
        user: api key user
"""
"""An ``application.yaml`` as the documentation of the gateway prints it."""


def base64_of(der: bytes) -> str:
    return base64.b64encode(der).decode()


def session_gatekeeper_of(keys: KeyStore, clock: Callable[[], float]) -> Gatekeeper:
    """A gatekeeper of the session flow with a group that costs no time."""
    return Gatekeeper(ApiKeysConfig(keys, SessionSettings(enabled=True, group=SMALL_GROUP)), clock=clock)
