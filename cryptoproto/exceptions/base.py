"""The root of the tree, and errors in how the package is used or configured."""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "CryptoprotoError",
    "IdentityInUse",
    "MissingExtra",
    "OrderInvalid",
    "PasswordRequired",
]


class CryptoprotoError(Exception):
    """The root of all errors that this package raises on purpose.

    Attributes:
        sent: for an error that ended a call, whether the call's frame had been handed to the network before;
            ``None`` if the error does not concern a single call.
    """

    sent: bool | None = None


class ConfigurationError(CryptoprotoError, ValueError):
    """An argument, a key file or an address cannot be used; the text says what to change."""


class MissingExtra(ConfigurationError, ModuleNotFoundError):
    """A package that belongs to an extra is not installed; the text is the command that installs it.

    It is an :class:`ImportError`, too: importing a module whose extra is missing raises it.

    Attributes:
        name: the module that was not found.
    """

    def __init__(self, text: str, name: str | None = None) -> None:
        super().__init__(text)
        self.name = name


class PasswordRequired(ConfigurationError):
    """A private key is encrypted, and no password was given."""


class OrderInvalid(ConfigurationError):
    """An order, or another message to the exchange, was rejected locally: it is invalid, or a limit does not allow it.

    Nothing was sent and the connection is unaffected. The text names the field or the limit, and what to change.
    """

    sent: bool | None = False


class IdentityInUse(ConfigurationError):
    """With ``exclusive=True``: another connection on this machine uses the client id at the same exchange.

    Attributes:
        client_id: the client id.
        pid: the id of the process that uses it.
    """

    sent: bool | None = False

    def __init__(self, client_id: str, pid: int) -> None:
        super().__init__(client_id, pid)
        self.client_id = client_id
        self.pid = pid

    def __str__(self) -> str:
        return (
            f"client id {self.client_id!r} is in use on this machine by process {self.pid}; "
            f"connecting would end its connection. Stop that process first, or use another client id"
        )
