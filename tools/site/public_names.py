"""Under which public name something is documented: ``cryptoproto.client.client.Client`` is ``cryptoproto.Client``."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["MODULES", "anchor", "documented_members", "exported", "public_class"]

MODULES: Final = {
    "cryptoproto.sync": "Without await",
    "cryptoproto.sync.exchange": "The exchange without await",
    "cryptoproto.exchange": "Exchange",
    "cryptoproto.gateway": "Gateway",
    "cryptoproto.status": "Status page",
    "cryptoproto.client.prometheus": "Prometheus",
    "cryptoproto.recording.backtest": "Backtests",
    "cryptoproto.recording.report": "Reports of backtests",
    "cryptoproto.recording.frames": "Data frames of recordings",
    "cryptoproto.apikeys": "API keys",
    "cryptoproto.apikeys.server": "API keys: the verifying side",
    "cryptoproto.licensing": "Licensing",
}
"""The public modules beside ``cryptoproto`` itself, with the titles of their pages. Most need an extra."""

_FACES: Final = (*sorted(MODULES, key=len, reverse=True), "cryptoproto")


@functools.cache
def exported() -> dict[str, Any]:
    """What the public modules export, by its public name: ``cryptoproto.Client``."""
    modules = {face: importlib.import_module(face) for face in _FACES}
    return {f"{face}.{name}": getattr(module, name) for face, module in modules.items() for name in module.__all__}


@functools.cache
def _by_definition() -> dict[str, str]:
    """The public name of each class and function, by the name of its definition. ``cryptoproto.X`` wins."""
    return {
        f"{value.__module__}.{value.__qualname__}": name
        for name, value in exported().items()
        if inspect.isclass(value) or inspect.isfunction(value)
    }


def public_class(definition: str) -> type | None:
    """The public class with this full name of its definition, or ``None``."""
    value = exported().get(_by_definition().get(definition, ""))
    return value if inspect.isclass(value) else None


def documented_members(cls: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties of a class that have a docstring, inherited ones included."""
    for name in dir(cls):
        value = inspect.getattr_static(cls, name)
        if not name.startswith("_") and _is_member(value) and inspect.getdoc(getattr(cls, name)):
            yield name, value


def _is_member(value: Any) -> bool:
    return isinstance(value, property | classmethod | staticmethod | functools.cached_property) or inspect.isfunction(
        value
    )


def anchor(name: str, scope: str) -> str | None:
    """Where the site documents *name*, or ``None``.

    Args:
        name: as it stands in a docstring: a full name, a public name, or a member of a class around it.
        scope: the full name of the class or module that the docstring belongs to.
    """
    owner, _, member = name.rpartition(".")
    if name in exported():
        return name
    if not owner and (cls := public_class(scope)) and member in dict(documented_members(cls)):
        return f"{_by_definition()[scope]}.{member}"
    for face in _FACES:
        if scope.startswith(face) and f"{face}.{name}" in exported():
            return f"{face}.{name}"
    found = anchor(owner, scope) if owner else None
    value = exported().get(found or "")
    return f"{found}.{member}" if inspect.isclass(value) and member in dict(documented_members(value)) else None
