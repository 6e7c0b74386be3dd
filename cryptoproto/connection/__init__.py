"""One live connection to an exchange: events in order, requests, throttling, signing, and how it ends."""

from __future__ import annotations

from .connect import connect
from .connection import Connection
from .event import Event
from .options import ConnectArguments, ConnectCall, ConnectOptions, ConnectOverrides, Throttle
from .prepared_message import PreparedMessage

__all__ = [
    "ConnectArguments",
    "ConnectCall",
    "ConnectOptions",
    "ConnectOverrides",
    "Connection",
    "Event",
    "PreparedMessage",
    "Throttle",
    "connect",
]
