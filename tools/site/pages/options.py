"""Every option of the classes that people make: its type, its default, and what it does."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Final

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.gateway import Gateway, GatewayClient
from cryptoproto.market_data.link import FeedOptions
from cryptoproto.status import serve_status

from ..markdown import arguments, heading, table

__all__ = ["TAKERS", "defaults", "page"]

_HEAD: Final = """\
# Options

All options of the classes that you make, with their defaults. The API pages have the same with all methods.
"""
TAKERS: Final[tuple[tuple[str, Any, str], ...]] = (
    ("connect()", cp.connect, "cryptoproto.connect"),
    ("Client", cp.Client, "cryptoproto.Client"),
    ("MarketData", cp.MarketData, "cryptoproto.MarketData"),
    ("Quotes", cp.Quotes, "cryptoproto.Quotes"),
    ("SqliteStore", cp.SqliteStore, "cryptoproto.SqliteStore"),
    ("Backoff", cp.Backoff, "cryptoproto.Backoff"),
    ("Instrument", cp.Instrument, "cryptoproto.Instrument"),
    ("OrderLimits", cp.OrderLimits, "cryptoproto.OrderLimits"),
    ("Exchange", Exchange, "cryptoproto.exchange.Exchange"),
    ("Gateway", Gateway, "cryptoproto.gateway.Gateway"),
    ("GatewayClient", GatewayClient, "cryptoproto.gateway.GatewayClient"),
    ("serve_status()", serve_status, "cryptoproto.status.serve_status"),
)

_PASSED_ON: Final[dict[Any, tuple[type, ...]]] = {cp.connect: (cp.ConnectOptions,), cp.MarketData: (FeedOptions,)}


def page() -> str:
    """The page."""
    parts = [_HEAD]
    for title, taker, name in TAKERS:
        parts += [heading(2, title), f"[`{title}`][{name}]"]
        parts.append(table(["option", "default", "what it does"], _rows(taker)))
    return "\n\n".join(parts) + "\n"


def _rows(taker: Any) -> Iterator[list[str]]:
    meanings, found = arguments(taker), defaults(taker)
    for name, meaning in meanings.items():
        yield [f"`{name}`", found.get(name, ""), meaning]


def defaults(taker: Any) -> dict[str, str]:
    """The default of each option, as text; those that are passed on are those of the struct that takes them."""
    found: dict[str, str] = {}
    for one in (*_PASSED_ON.get(taker, ()), taker):
        for name, parameter in inspect.signature(one).parameters.items():
            if parameter.kind in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}:
                continue
            found[name] = "required" if parameter.default is parameter.empty else _shown(parameter.default)
    return found


def _shown(default: Any) -> str:
    text = str(default) if isinstance(default, int | float | str) and not isinstance(default, bool) else repr(default)
    if isinstance(default, cp.Protocol):
        text = f"Protocol.{default.name}"
    if isinstance(default, str):
        text = f'"{default}"'
    if " at 0x" in text or len(text) > 60:
        return ""
    return f"`{text}`"
