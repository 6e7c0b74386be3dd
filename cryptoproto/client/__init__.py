"""The client's side: one live connection."""

from __future__ import annotations

from .connection import Connection
from .event import Event
from .opening import connect
from .options import Throttle

__all__ = ["Connection", "Event", "Throttle", "connect"]
