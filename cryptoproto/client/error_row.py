"""Errors of calls as plain values, to be stored or sent to another process."""

from __future__ import annotations

from typing import Final, Self

import msgspec

from ..exceptions import (
    ClientClosed,
    ConfigurationError,
    ConnectError,
    ConnectionClosed,
    CryptoprotoError,
    GatewayError,
    HeartbeatTimeout,
    HistoryRewound,
    InsufficientFundsError,
    OrderInvalid,
    OrderNotOpen,
    OrderRejected,
    OutcomeUnknown,
    RequestNotSent,
    RequestTimeout,
    ServerError,
    SlowConsumer,
)
from ..wire import connection_closed, server_error

__all__ = ["ErrorRow"]

_TYPES: Final[dict[str, type[CryptoprotoError]]] = {
    each.__name__: each
    for each in (
        ClientClosed,
        ConfigurationError,
        GatewayError,
        OrderInvalid,
        OrderNotOpen,
        OrderRejected,
        OutcomeUnknown,
        RequestNotSent,
        RequestTimeout,
    )
}
_WITHOUT_CODE: Final = {each.__name__: each for each in (ConnectError, HeartbeatTimeout, SlowConsumer)}
"""How a connection ends without a close code."""


class ErrorRow(msgspec.Struct, omit_defaults=True):
    """What is needed to raise an error again: its type, text, and attributes. Without an error, *error* is ``None``."""

    error: str | None = None
    text: str = ""
    error_type: int = 0
    currency: str = ""
    order_id: int | None = None
    sent: bool | None = None
    close_code: int | None = None
    is_final: bool = False
    rewound: tuple[int, int, str, str] | None = None  # what a HistoryRewound is made from

    @classmethod
    def of(cls, error: CryptoprotoError | None) -> Self:
        """The row of *error*."""
        row = cls()
        if isinstance(error, ServerError):
            row.error, row.error_type, row.text = "ServerError", error.error_type, error.text
        elif isinstance(error, InsufficientFundsError):
            row.error, row.currency, row.order_id = "InsufficientFundsError", error.currency, error.order_id
        elif isinstance(error, HistoryRewound):
            row.error = "HistoryRewound"
            row.rewound = (error.position, error.exchange_position, error.what, error.remedy)
        elif isinstance(error, ConnectionClosed):
            name = type(error).__name__
            row.error = name if name in _WITHOUT_CODE else "ConnectionClosed"
            row.close_code, row.text = error.code, error.reason
        elif error is not None:
            row.error, row.text = type(error).__name__, str(error)
        if isinstance(error, OutcomeUnknown):
            row.is_final = error.is_final
        if error is not None:
            row.sent = error.sent
        return row

    def restored(self) -> CryptoprotoError | None:
        """The error; a CryptoprotoError if its type is not one of those that calls raise."""
        error: CryptoprotoError
        if self.error is None:
            return None
        if self.error == "ServerError":
            error = server_error(self.error_type, self.text)
        elif self.error == "InsufficientFundsError":
            error = InsufficientFundsError(self.currency, self.order_id)
        elif self.rewound is not None:
            error = HistoryRewound(*self.rewound)
        elif self.error == "ConnectionClosed":
            error = connection_closed(self.close_code, self.text)
        elif self.error in _WITHOUT_CODE:
            error = _WITHOUT_CODE[self.error](None, self.text)
        else:
            error = _TYPES.get(self.error, CryptoprotoError)(self.text)
        error.sent = self.sent
        if self.is_final and isinstance(error, OutcomeUnknown):
            error.is_final = True
        return error
