"""All targets by name. A room has a module in ``targets``; a new decoder gets a target there."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from tests.fuzz.target import Target

__all__ = ["ROOMS", "all_targets", "room_of", "targets_of"]

ROOMS: Final = (
    "wire", "sessions", "messages", "stomp", "apikeys", "profiles", "licensing", "client", "exchange", "recordings",
    "keys", "gateway", "conformance",
)  # fmt: skip


def targets_of(room: str) -> dict[str, Target]:
    """The targets of one room; only its module is imported, which is instrumented where coverage guides."""
    module = import_module(f"tests.fuzz.targets.{room}")
    targets: tuple[Target, ...] = module.TARGETS
    return {target.name: target for target in targets}


def all_targets() -> dict[str, Target]:
    """Every target."""
    return {name: target for room in ROOMS for name, target in targets_of(room).items()}


def room_of(name: str) -> str:
    """The room whose module has the target."""
    return next(room for room in ROOMS if name in targets_of(room))
