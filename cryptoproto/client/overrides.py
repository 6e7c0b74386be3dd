"""The arguments of a client that a profile does not give, or that replace what it gives."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypedDict, Unpack, cast

from ..connection import ConnectCall, ConnectOverrides
from ..instruments import Instrument, OrderLimits
from ..profiles import Profile
from ..reconnect import Backoff
from .store import SqliteStore, Store

__all__ = ["ClientCall", "ClientOverrides", "FromProfile", "client_arguments"]


_AS_THEY_ARE: Final = ("store", "resend", "order_rate", "cancel_on_exit", "keep_cancels_ready")


class _OwnArguments(TypedDict, total=False):
    store: str | os.PathLike[str] | Store | None
    resend: Literal["never", "once"]
    order_rate: float | None
    backoff: Backoff | None
    instruments: Iterable[Instrument] | Mapping[str, Instrument] | None
    limits: OrderLimits | None
    cancel_on_exit: bool
    order_ids: Callable[[], int] | None
    keep_cancels_ready: int


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
    if profile.values.get("history"):
        if "store" not in own:
            profile.require_store_of_history()
        own["store"] = _with_history(own["store"])
    return cast("ClientCall", {**own, **arguments})


def _with_history(store: str | os.PathLike[str] | Store | None) -> str | os.PathLike[str] | Store | None:
    """The store, with a history if it is the path of one: the history is a part of its file."""
    return SqliteStore(store, history=True) if isinstance(store, str | os.PathLike) else store


class FromProfile:
    """What makes clients from profiles: a base class of the client with ``await`` and of the one without."""

    if TYPE_CHECKING:

        def __init__(self, **arguments: Unpack[ClientCall]) -> None: ...

    @classmethod
    def from_profile(
        cls, name: str, *, path: str | os.PathLike[str] | None = None, **overrides: Unpack[ClientOverrides]
    ) -> Self:
        """A client for a profile.

        Args:
            name: its name: the configuration file has a table ``[profiles.NAME]``.
            path: the file; ``config.toml`` in the user's configuration folder by default.
            overrides: arguments of the client, which count more than the environment and the file. ``exclusive`` is
                true unless the profile or an argument says otherwise.

        Raises:
            PasswordRequired: the private key is encrypted, and there is no password.
            ConfigurationError: a file or a value cannot be used, or something is missing.
        """
        return cls(**client_arguments(Profile.load(name, path=path), **overrides))

    @classmethod
    def from_env(cls, **overrides: Unpack[ClientOverrides]) -> Self:
        """A client for the variables ``CRYPTOPROTO_*``, and for the profile that ``CRYPTOPROTO_PROFILE`` names, if any.

        Arguments and errors are those of :meth:`from_profile`.
        """
        return cls(**client_arguments(Profile.from_env(), **overrides))
