"""Waiting before the next attempt, and one stream of states for everything that reconnects."""

from __future__ import annotations

from .backoff import Backoff

__all__ = ["Backoff"]
