"""The root of the tree, and errors in how the package is used or configured."""

from __future__ import annotations

__all__ = ["ConfigurationError", "CryptoprotoError", "OrderInvalid"]


class CryptoprotoError(Exception):
    """The root of all errors that this package raises on purpose.

    Attributes:
        sent: for an error that ended a call, whether the call's frame had been handed to the network before;
            ``None`` if the error does not concern a single call.
    """

    sent: bool | None = None


class ConfigurationError(CryptoprotoError, ValueError):
    """An argument, a key file or an address cannot be used; the text says what to change."""


class OrderInvalid(ConfigurationError):
    """An order, or another message to the exchange, was rejected locally: it can never be valid.

    Nothing was sent and the connection is unaffected. The text names the field and what to change.
    """

    sent: bool | None = False
