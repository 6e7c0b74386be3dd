"""Writes the diagrams into ``docs/images``."""

from __future__ import annotations

from .files import FOLDER, diagrams

for name, text in diagrams().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
