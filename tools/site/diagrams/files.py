"""The files of the diagrams."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptoproto import Protocol

from .client_states import client_states
from .sequence import sequence

__all__ = ["FOLDER", "diagrams"]

FOLDER: Final = Path(__file__).parents[3] / "docs" / "images"


def diagrams() -> dict[str, str]:
    """The text of each file, by its name."""
    return {
        "frames-signed.svg": sequence(Protocol.SIGNED),
        "frames-v5.svg": sequence(Protocol.V5),
        "client-states.svg": client_states(),
    }
