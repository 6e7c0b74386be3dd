"""The curves of the report, one module each."""

from __future__ import annotations
