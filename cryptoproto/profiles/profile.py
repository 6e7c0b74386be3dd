"""One profile, put together: the file, the environment over it, and arguments over both."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self, Unpack, cast

from ..arguments import check_url
from ..connection import ConnectCall, ConnectOverrides
from ..exceptions import ConfigurationError, PasswordRequired
from ..instruments import BookSource, Instrument, OrderLimits
from ..keys import PrivateKey, PublicKey
from ..wire import Protocol
from .config_file import ConfigFile, check_name, default_path
from .environment import VARIABLES, environment_values
from .password import find_password
from .values import ProfileValues, check_values, joined

__all__ = ["Profile"]

_OF_ARGUMENT: Final = {"url": "url", "client_id": "client_id", "private_key": "key", "server_key": "server_key"}
"""The arguments that a connection cannot do without, and the keys of a profile that stand for them."""

_AS_THEY_ARE: Final = (
    "transport", "insecure", "signer_threads", "open_timeout", "request_timeout", "ping_interval", "ping_timeout",
)  # fmt: skip
_WHERE_ARGUMENTS: Final = "the arguments"


class Profile:
    """The settings of one account at one exchange, from a file, the environment and arguments.

    ::

        profile = cp.Profile.load("paper")
        async with cp.connect(**profile.connect_arguments()) as connection:
            ...

    :meth:`Client.from_profile <cryptoproto.Client.from_profile>` does this for a client. ``repr()`` shows no secret.

    Attributes:
        name: the name of the profile, ``None`` if there is only the environment.
        path: the file that it is from, ``None`` likewise.
        values: the value of each key that is set; paths are absolute if they are from a file.
        sources: where each value is from, for errors and for people.
    """

    __slots__ = ("_where", "name", "path", "sources", "values")

    name: str | None
    path: Path | None
    values: ProfileValues
    sources: Mapping[str, str]

    def __init__(
        self, name: str | None, path: Path | None, layers: Mapping[str, Mapping[str, Any]], *, where: str
    ) -> None:
        self.name = name
        self.path = path
        self._where = where
        merged: dict[str, Any] = {}
        sources: dict[str, str] = {}
        for source, layer in layers.items():
            for key, value in layer.items():
                merged[key] = value
                sources[key] = VARIABLES[key] if source == "environment" else f"{key} in {source}"
        self.values = cast("ProfileValues", merged)
        self.sources = sources

    @classmethod
    def load(cls, name: str, *, path: str | os.PathLike[str] | None = None, **values: Unpack[ProfileValues]) -> Self:
        """Read a profile.

        Args:
            name: its name: the file has a table ``[profiles.NAME]``.
            path: the file; ``config.toml`` in the user's configuration folder by default.
            values: values that count more than those of the environment and the file.

        Raises:
            ConfigurationError: the file or a value cannot be used; the error names file, profile and key.
        """
        file = ConfigFile(default_path() if path is None else path)
        given = check_values(values, _WHERE_ARGUMENTS)
        where = file.where(check_name(name))
        layers = {where: file.values(name), "environment": environment_values(), _WHERE_ARGUMENTS: given}
        return cls(name, file.path, layers, where=where)

    @classmethod
    def from_env(cls, *, path: str | os.PathLike[str] | None = None, **values: Unpack[ProfileValues]) -> Self:
        """The profile that ``CRYPTOPROTO_PROFILE`` names, or no profile, and the other variables over it.

        Raises:
            ConfigurationError: as for :meth:`load`.
        """
        name = os.environ.get("CRYPTOPROTO_PROFILE")
        if name:
            return cls.load(name, path=path, **values)
        given = check_values(values, _WHERE_ARGUMENTS)
        return cls(None, None, {"environment": environment_values(), _WHERE_ARGUMENTS: given}, where="the environment")

    def missing(self, *keys: str) -> list[str]:
        """Those of *keys* that are not set."""
        return [key for key in keys if key not in self.values]

    def require(self, *keys: str) -> None:
        """Check that all *keys* are set.

        Raises:
            ConfigurationError: some are not; the error names them together and says where to write them.
        """
        missing = self.missing(*keys)
        if not missing:
            return
        what = joined(missing, "or")
        variables = [VARIABLES[key] for key in missing if key in VARIABLES]
        advice = f"set {joined(variables)}" if variables else ""
        if self.name is None:
            raise ConfigurationError(
                f"the environment gives no {what}: {advice}, or name a profile in CRYPTOPROTO_PROFILE"
            )
        them = "it" if len(missing) == 1 else "them"
        raise ConfigurationError(f"no {what} in {self._where}: write {them} there, or {advice}")

    def require_store_of_history(self) -> None:
        """Check that there is a store if the profile asks for a history.

        Raises:
            ConfigurationError: there is none.
        """
        if self.values.get("history") and "store" not in self.values:
            raise ConfigurationError(
                f"{self.sources['history']} needs a store, because the history is kept there; "
                f'write store = "bot.db" beside it, or set {VARIABLES["store"]}'
            )

    def private_key(self) -> PrivateKey:
        """The private key that ``key`` names. If it is encrypted, its password is looked up.

        Raises:
            PasswordRequired: it is encrypted, and there is no password.
            ConfigurationError: the file or the password cannot be used.
        """
        self.require("key")
        path = self.values["key"]
        try:
            return PrivateKey.load(path)
        except PasswordRequired:
            password = find_password(self.values.get("password_command"), self._where)
        except ConfigurationError as error:
            raise self._named(error, "key") from error
        if password is None:
            raise PasswordRequired(
                f"{path}: the key is encrypted: set CRYPTOPROTO_PASSWORD, or write password_command = "
                f'["pass", "show", "alice"] in the profile'
            )
        try:
            return PrivateKey.load(path, password.value)
        except ConfigurationError as error:
            raise ConfigurationError(f"{error}; the password is from {password.source}") from error

    def public_key_of_server(self) -> PublicKey:
        """The exchange's public key, which ``server_key`` names.

        Raises:
            ConfigurationError: the file cannot be used.
        """
        self.require("server_key")
        try:
            return PublicKey.load(self.values["server_key"])
        except ConfigurationError as error:
            raise self._named(error, "server_key") from error

    def instruments(self) -> tuple[Instrument, ...]:
        """The instruments of the profile, in the order of the file."""
        return tuple(Instrument(**rules) for rules in self.values.get("instruments", ()))

    def order_limits(self, *, book: BookSource | None = None) -> OrderLimits | None:
        """The pre-trade limits of the profile, ``None`` if it has none.

        Args:
            book: the book for ``price_band``, as for :class:`~cryptoproto.OrderLimits`; not used without a band.

        Raises:
            ConfigurationError: ``price_band`` is set and *book* is not given.
        """
        limits = self.values.get("limits")
        if limits is None:
            return None
        if "price_band" in limits and book is None:
            raise ConfigurationError(
                f"price_band of {self.sources['limits']} needs a book: "
                f"pass limits=profile.order_limits(book=feed), with a MarketData"
            )
        return OrderLimits(**limits, book=book if "price_band" in limits else None)

    def connect_arguments(self, **overrides: Unpack[ConnectOverrides]) -> ConnectCall:
        """The arguments for :func:`~cryptoproto.connect`; *overrides* count more than the profile.

        ``exclusive`` is true unless the profile or *overrides* say otherwise, so that two programs on one profile do
        not end each other's connection.

        Raises:
            ConfigurationError: something is missing, or a file cannot be used.
        """
        values = self.values
        self.require(*(key for argument, key in _OF_ARGUMENT.items() if argument not in overrides))
        arguments: dict[str, Any] = {key: values[key] for key in _AS_THEY_ARE if key in values}
        arguments["exclusive"] = values.get("exclusive", bool(overrides.get("lock", True)))
        if "protocol" in values:
            arguments["protocol"] = Protocol(values["protocol"])
        if "url" not in overrides:
            arguments["url"] = self.address("url", insecure=overrides.get("insecure"))
        if "client_id" not in overrides:
            arguments["client_id"] = values["client_id"]
        if "private_key" not in overrides:
            arguments["private_key"] = self.private_key()
        if "server_key" not in overrides:
            arguments["server_key"] = self.public_key_of_server()
        return cast("ConnectCall", arguments | overrides)

    def address(self, key: str, *, insecure: bool | None = None) -> str:
        """The address under *key*, ``"url"`` or ``"market_data_url"``.

        Args:
            key: the key.
            insecure: allow ``ws://`` to other machines; by default what the profile says.

        Raises:
            ConfigurationError: it is missing, or it is ``ws://`` to another machine and that is not allowed.
        """
        self.require(key)
        url = str(cast("Mapping[str, Any]", self.values)[key])
        try:
            check_url(url, insecure=self.values.get("insecure", False) if insecure is None else insecure)
        except ConfigurationError as error:
            raise self._named(error, key) from None
        return url

    def _named(self, error: ConfigurationError, key: str) -> ConfigurationError:
        """*error* with the place of the value that it is about. A caller knows what it has passed itself."""
        source = self.sources[key]
        return error if source.endswith(_WHERE_ARGUMENTS) else ConfigurationError(f"{error} ({source})")

    def __repr__(self) -> str:
        return f"<Profile {self.name or 'of the environment'}: {', '.join(self.values) or 'nothing set'}>"
