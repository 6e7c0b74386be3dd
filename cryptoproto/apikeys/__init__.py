"""API keys of web gateways: signed requests, sessions, STOMP; the verifying side is in :mod:`.server`.

Needs the ``apikeys`` extra; the verifying side needs ``server``, too.
"""

from __future__ import annotations

try:
    from .basic_auth import ApiKeyAuth
    from .diffie_hellman import Group, GroupLimits
    from .login import ClientLogin, LoginOutcome
    from .session import Session
    from .session_auth import SessionAuth
    from .stomp import StompConnection
    from .stomp_frames import Frame
    from .stomp_subscription import StompMessage, Subscription
except ModuleNotFoundError as _error:
    if _error.name not in {"httpx", "yaml"}:
        raise
    raise ModuleNotFoundError(
        f"cryptoproto.apikeys needs {_error.name}: pip install 'cryptoproto[apikeys]'", name=_error.name
    ) from _error

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
