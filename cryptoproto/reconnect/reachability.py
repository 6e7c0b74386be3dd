"""Ends waits before reconnecting to a host as soon as anything in this event loop has reached it."""

from __future__ import annotations

import asyncio
import weakref
from typing import Final, TypeAlias
from urllib.parse import urlsplit

__all__ = ["announce", "watch"]

_Watchers: TypeAlias = dict[str, weakref.WeakSet[asyncio.Event]]
_watchers: Final[weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Watchers]] = weakref.WeakKeyDictionary()


def watch(url: str) -> asyncio.Event:
    """An event that is set each time when the host of *url* has been reached; forgotten with its last reference."""
    event = asyncio.Event()
    by_host = _watchers.setdefault(asyncio.get_running_loop(), {})
    by_host.setdefault(_host(url), weakref.WeakSet()).add(event)
    return event


def announce(url: str) -> None:
    """The host of *url* has been reached: end all waits for it."""
    for event in _watchers.get(asyncio.get_running_loop(), {}).get(_host(url), ()):
        event.set()


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
