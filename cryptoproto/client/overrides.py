"""The arguments of a client that a profile does not give, or that replace what it gives."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypedDict, Unpack, cast

from ..connection import ConnectCall, ConnectOverrides
from ..instruments import Instrument, OrderLimits
from ..profiles import Profile
from ..reconnect import Backoff
from .store import Store

__all__ = ["ClientCall", "ClientOverrides", "client_arguments"]


_AS_THEY_ARE: Final = ("store", "resend", "order_rate")


class _OwnArguments(TypedDict, total=False):
    store: str | os.PathLike[str] | Store | None
    resend: Literal["never", "once"]
    order_rate: float | None
    backoff: Backoff | None
    instruments: Iterable[Instrument] | Mapping[str, Instrument] | None
    limits: OrderLimits | None


class ClientOverrides(ConnectOverrides, _OwnArguments, total=False):
    """Arguments of :class:`~cryptoproto.Client`, none of them required: what replaces settings of a profile."""


class ClientCall(ConnectCall, _OwnArguments):
    """All arguments of :class:`~cryptoproto.Client`, the address included."""


def client_arguments(profile: Profile, **overrides: Unpack[ClientOverrides]) -> ClientCall:
    """The arguments for :class:`~cryptoproto.Client` that a profile gives, with *overrides* over them.

    Raises:
        ConfigurationError: something is missing, or a file cannot be used.
    """
    of_client = _OwnArguments.__annotations__
    own: dict[str, Any] = {key: profile.values[key] for key in _AS_THEY_ARE if key in profile.values}
    if "instruments" in profile.values:
        own["instruments"] = profile.instruments()
    if "limits" in profile.values and "limits" not in overrides:
        own["limits"] = profile.order_limits()
    given: dict[str, Any] = {key: value for key, value in overrides.items() if key not in of_client}
    arguments = profile.connect_arguments(**cast("ConnectOverrides", given))
    own |= {key: value for key, value in overrides.items() if key in of_client}
    return cast("ClientCall", {**own, **arguments})
