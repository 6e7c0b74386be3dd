"""The errors that mean: these bytes are not the JSON or MessagePack that was expected."""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["MALFORMED"]

MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that ``msgspec`` raises for bytes of any kind: catch this where JSON or MessagePack is read that others wrote.

A value that is nested a thousand times deep is a ``RecursionError``, even in a field that is ignored.
"""
