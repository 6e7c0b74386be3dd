"""Backoff between attempts, and one stream of states for everything that reconnects."""

from __future__ import annotations

from .backoff import Backoff
from .state_stream import StateStream
from .subscription import Channel, Subscription

__all__ = ["Backoff", "Channel", "StateStream", "Subscription"]
