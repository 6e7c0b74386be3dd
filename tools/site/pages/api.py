"""The API pages: one for each room of ``cryptoproto`` and for each public module, filled by mkdocstrings."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from typing import Final

from tests.support.reference import rooms

from ..public_names import MODULES

__all__ = ["pages", "slug"]

_FIRST: Final = frozenset({
    "ApiKeyAuth", "ApiKeysMiddleware", "Client", "Connection", "CryptoprotoError", "Exchange", "Gateway", "GatewayClient",
    "History", "Instrument", "LicenseAgent", "LicenseManager", "MarketData", "OrderLimits", "PrivateKey", "Profile",
    "Protocol", "PublicKey", "Quotes", "SessionAuth", "StompConnection", "backtest", "connect", "record", "replay",
    "serve_metrics", "serve_status",
})  # fmt: skip
"""What people look for first; the rest of a page is in the order of the alphabet."""


def pages() -> dict[str, str]:
    """The text of each page, by its path in the site."""
    found = {
        f"reference/api/{slug(title)}.md": _page(title, "cryptoproto", names, "import cryptoproto as cp")
        for title, names in rooms().items()
    }
    for module, title in MODULES.items():
        names = importlib.import_module(module).__all__
        path = f"reference/api/{module.removeprefix('cryptoproto.').replace('.', '-')}.md"
        found[path] = _page(title, module, names, f"import {module}")
    return found


def slug(title: str) -> str:
    """The name of the page with this title."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def _page(title: str, module: str, names: Sequence[str], imported: str) -> str:
    names = sorted(names, key=lambda name: (name not in _FIRST, name.lower()))
    # All messages and errors have the members of their base class, which are shown there.
    options = "    options:\n      inherited_members: false\n" if title in {"Messages", "Errors"} else ""
    blocks = [f"# {title}\n", f"```py\n{imported}\n```\n", *(f"::: {module}.{name}\n{options}" for name in names)]
    return "\n".join(blocks)
