"""API keys of web gateways: signed requests, sessions, STOMP; the verifying side is in :mod:`.server`.

Needs the ``apikeys`` extra; the verifying side needs ``server``, too.
"""

from __future__ import annotations

from ..extras import needs

with needs("cryptoproto.apikeys", "apikeys"):
    from .basic_auth import ApiKeyAuth
    from .diffie_hellman import Group, GroupLimits
    from .login import ClientLogin, LoginOutcome
    from .session import Session
    from .session_auth import SessionAuth
    from .stomp import StompConnection
    from .stomp_frames import Frame
    from .stomp_subscription import StompMessage, Subscription

__all__ = [
    "ApiKeyAuth",
    "ClientLogin",
    "Frame",
    "Group",
    "GroupLimits",
    "LoginOutcome",
    "Session",
    "SessionAuth",
    "StompConnection",
    "StompMessage",
    "Subscription",
]
