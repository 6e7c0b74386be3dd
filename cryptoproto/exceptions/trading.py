"""Calls that end without a reply, orders that fail, and files that cannot be written."""

from __future__ import annotations

from typing import Any

from .base import CryptoprotoError

__all__ = [
    "ClientClosed",
    "InsufficientFundsError",
    "JournalError",
    "OrderFilled",
    "OrderNotFilled",
    "OrderNotOpen",
    "OrderRejected",
    "OutcomeUnknown",
    "RecordingError",
    "ReplaceIncomplete",
    "RequestError",
    "RequestNotSent",
    "RequestTimeout",
    "StoreError",
]


class RequestError(CryptoprotoError):
    """One call ended without its reply; the connection may still be usable."""


class RequestTimeout(RequestError, TimeoutError):
    """No reply came within the call's timeout."""


class RequestNotSent(RequestError):
    """The call was never sent, so it has no effect; it is safe to retry, except after :class:`ClientClosed`."""

    sent: bool | None = False


class ClientClosed(RequestNotSent):
    """The client is closed for good: nothing was sent and a retry cannot succeed.

    ``__cause__`` is the error that closed the client; ``None`` after ``close()``.
    """


class OutcomeUnknown(RequestError):
    """The call was sent, the connection was lost, and whether it took effect is not known yet.

    Attributes:
        is_final: whether it never will be: the answer was among events that were not requested. Otherwise the outcome
            is reported as soon as it is known.
    """

    sent: bool | None = True
    is_final: bool = False


class OrderRejected(CryptoprotoError):
    """The exchange rejected an order."""


class InsufficientFundsError(OrderRejected):
    """The balance does not cover the order.

    Attributes:
        currency: the currency of which there is not enough.
        order_id: the id that the exchange assigned to the order before it rejected it.
    """

    def __init__(self, currency: str, order_id: int | None = None) -> None:
        super().__init__(currency, order_id)
        self.currency = currency
        self.order_id = order_id

    def __str__(self) -> str:
        number = "" if self.order_id is None else f" (order id {self.order_id})"
        return f"not enough {self.currency} for the order{number}"


class OrderNotOpen(OrderRejected):
    """There was nothing to cancel or to replace: the order had ended before. Nothing was placed.

    Attributes:
        order: the :class:`~cryptoproto.Order`, if it was given; its ``status`` says how it ended.
    """

    def __init__(self, text: str, order: Any = None) -> None:
        super().__init__(text)
        self.order: Any = order


class OrderFilled(OrderNotOpen):
    """There was nothing left to replace: the order was filled before. Nothing was placed."""


class OrderNotFilled(CryptoprotoError):
    """An order was accepted, but ended before it was completely filled."""


class ReplaceIncomplete(CryptoprotoError):
    """One half of a replace took effect, and the other did not, or it is not known whether it did.

    Usually the old order is cancelled, and the new one was not placed; ``__cause__`` says why. The status of each order
    says what became of it.

    Attributes:
        order: the :class:`~cryptoproto.Order` that was to be replaced.
        replacement: the new :class:`~cryptoproto.Order` if it was sent, otherwise ``None``.
    """

    def __init__(self, text: str, order: Any = None, replacement: Any = None) -> None:
        super().__init__(text)
        self.order: Any = order
        self.replacement: Any = replacement


class StoreError(CryptoprotoError, OSError):
    """A client's store could not be read or written: for example, the disk is full or the file was removed."""


class JournalError(CryptoprotoError):
    """The journal of an exchange is damaged, or can no longer be written.

    Attributes:
        path: the journal's file.
        text: what is wrong with it.
    """

    def __init__(self, path: str, text: str) -> None:
        super().__init__(path, text)
        self.path = path
        self.text = text

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


class RecordingError(CryptoprotoError):
    """A recording of market data is damaged, or can no longer be written.

    Attributes:
        path: the recording's file.
        text: what is wrong with it; of damage, it names the offset.
    """

    def __init__(self, path: str, text: str) -> None:
        super().__init__(path, text)
        self.path = path
        self.text = text

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"
