"""The arguments of a feed, given by its caller or by a profile."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Callable, Iterable
from typing import Any, Final, TypedDict, Unpack, cast

from ..profiles import Profile
from ..reconnect.backoff import Backoff
from ..transport import TransportKind, TransportOpener

__all__ = ["FeedArguments", "FeedCall", "FeedOverrides", "feed_arguments"]

_OF_PROFILE: Final = ("transport", "insecure", "open_timeout", "ping_interval", "ping_timeout")


class FeedArguments(TypedDict, total=False):
    """The arguments of :class:`~cryptoproto.MarketData` that say how it connects."""

    transport: TransportKind | TransportOpener
    ssl: ssl_module.SSLContext | None
    open_timeout: float
    ping_interval: float | None
    ping_timeout: float | None
    max_queue: int
    max_message_size: int
    insecure: bool


class _AllArguments(FeedArguments, total=False):
    pairs: Iterable[str] | None
    backoff: Backoff | None
    time: Callable[[], float]


class FeedOverrides(_AllArguments, total=False):
    """Arguments of :class:`~cryptoproto.MarketData`, none of them required: what replaces settings of a profile."""

    url: str


class FeedCall(_AllArguments):
    """All arguments of :class:`~cryptoproto.MarketData`, the address included."""

    url: str


def feed_arguments(profile: Profile, **overrides: Unpack[FeedOverrides]) -> FeedCall:
    """The arguments for :class:`~cryptoproto.MarketData` that a profile gives, with *overrides* over them.

    Raises:
        ConfigurationError: there is no address, or it cannot be used.
    """
    arguments: dict[str, Any] = {key: value for key, value in profile.values.items() if key in _OF_PROFILE}
    if "url" not in overrides:
        arguments["url"] = profile.address("market_data_url", insecure=overrides.get("insecure"))
    return cast("FeedCall", arguments | overrides)
