"""Two-sided quotes: the wanted levels, kept in the book with the fewest messages."""

from __future__ import annotations

from .levels import QuoteLevel
from .outcome import QuoteFailure, QuoteUpdate
from .quotes import Quotes

__all__ = ["QuoteFailure", "QuoteLevel", "QuoteUpdate", "Quotes"]
