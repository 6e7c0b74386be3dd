"""The one tree of everything that cryptoproto raises.

::

    CryptoprotoError
    ├── ConfigurationError (ValueError)       an argument, a key file or an address cannot be used
    │   └── IdentityInUse                     another process of this machine uses the client id
    ├── HandshakeError                        the exchange and we did not come to terms
    │   ├── InvalidKey
    │   ├── OpenTimeout (TimeoutError)
    │   ├── LoginRefused                      an API key, its session or a signed CONNECT was turned away
    │   └── UnsupportedVersion
    ├── ProtocolError                         the peer broke the protocol
    │   └── DecodeError (ValueError)
    │       └── UnsupportedMessageType
    ├── JournalError                          an exchange's journal is damaged, or cannot be written
    ├── ServerError                           the exchange answered with an error frame
    │   ├── DuplicateClientOrderId
    │   ├── InvalidPayload
    │   ├── TradesDisabled
    │   └── UnknownServerError
    ├── ConnectionClosed (ConnectionError)    the link has ended
    │   ├── ConcurrentConnection  4000
    │   ├── InvalidSequence       4001
    │   ├── RateLimited           4009
    │   ├── ServerRestart         1012
    │   ├── HeartbeatTimeout
    │   └── SlowConsumer
    ├── RequestError                          one call ended without its reply
    │   ├── RequestTimeout (TimeoutError)
    │   ├── RequestNotSent
    │   └── OutcomeUnknown
    ├── OrderRejected                         the exchange refused an order
    │   └── InsufficientFundsError
    ├── OrderNotFilled                        an order ended before it was filled whole
    ├── StoreError (OSError)                  what must be remembered could not be written down
    ├── CredentialsRefused                    our own gateway turns a request away, with this HTTP status
    ├── StompError                            the gateway answered with a STOMP ERROR frame
    └── LicensingError                        no license, or no way to get or keep one
        ├── LicenseRefused                    the license manager answered, and said no
        │   ├── NoAgreement
        │   ├── NoFreeLicense
        │   ├── RequestMalformed
        │   ├── RequestStale
        │   └── TooManyRequests
        ├── LicenseExpired                    neither a token nor a grace period is left
        ├── ManagerUnavailable (ConnectionError)
        ├── MalformedMessage (ValueError)     a request or token is not what its layout says
        ├── SealBroken                        a sealed box does not open
        ├── InvalidToken                      a token is not signed by the manager, or not meant for us
        ├── TokenCacheError                   the cached token cannot be read or kept
        └── LicenseDatabaseError              the manager's database cannot be used
"""

from __future__ import annotations

__all__ = [
    "ConcurrentConnection",
    "ConfigurationError",
    "ConnectionClosed",
    "CredentialsRefused",
    "CryptoprotoError",
    "DecodeError",
    "DuplicateClientOrderId",
    "HandshakeError",
    "HeartbeatTimeout",
    "IdentityInUse",
    "InsufficientFundsError",
    "InvalidKey",
    "InvalidPayload",
    "InvalidSequence",
    "InvalidToken",
    "JournalError",
    "LicenseDatabaseError",
    "LicenseExpired",
    "LicenseRefused",
    "LicensingError",
    "LoginRefused",
    "MalformedMessage",
    "ManagerUnavailable",
    "NoAgreement",
    "NoFreeLicense",
    "OpenTimeout",
    "OrderNotFilled",
    "OrderRejected",
    "OutcomeUnknown",
    "ProtocolError",
    "RateLimited",
    "RequestError",
    "RequestMalformed",
    "RequestNotSent",
    "RequestStale",
    "RequestTimeout",
    "SealBroken",
    "ServerError",
    "ServerRestart",
    "SlowConsumer",
    "StompError",
    "StoreError",
    "TokenCacheError",
    "TooManyRequests",
    "TradesDisabled",
    "UnknownServerError",
    "UnsupportedMessageType",
    "UnsupportedVersion",
]


class CryptoprotoError(Exception):
    """The root of every error that this package raises on purpose.

    Attributes:
        sent: for an error that ended a call, whether the call's frame had been handed to the network
            before; ``None`` where no single call is concerned.
    """

    sent: bool | None = None


class ConfigurationError(CryptoprotoError, ValueError):
    """An argument, a key file or an address cannot be used; the text says what to change."""


class IdentityInUse(ConfigurationError):
    """Another connection on this machine uses the same client id at the same exchange, and ``exclusive=True``.

    Attributes:
        client_id: the client id.
        pid: the id of the process that uses it.
    """

    def __init__(self, client_id: str, pid: int) -> None:
        super().__init__(client_id, pid)
        self.client_id = client_id
        self.pid = pid

    def __str__(self) -> str:
        return (
            f"client id {self.client_id!r} is in use on this machine by process {self.pid}; "
            f"connecting would end its connection. Stop that process first, or use another client id"
        )


class HandshakeError(CryptoprotoError):
    """The connection was opened, but the handshake did not end in a session."""


class InvalidKey(HandshakeError):
    """A key does not fit its counterpart: the server's key is another one, or it knows another one of ours."""


class OpenTimeout(HandshakeError, TimeoutError):
    """The connection and its handshake took longer than ``open_timeout``."""


class LoginRefused(HandshakeError):
    """A gateway did not let us in: the key is unknown, a signature wrong, or its answer not to be trusted.

    Attributes:
        status: the HTTP status of the refusal, ``None`` where it did not come as an HTTP response.
    """

    def __init__(self, text: str, *, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class UnsupportedVersion(HandshakeError):
    """The peer speaks a version of the protocol that this end does not."""


class ProtocolError(CryptoprotoError):
    """The peer broke the protocol; the connection is closed."""


class DecodeError(ProtocolError, ValueError):
    """A frame or payload is truncated, oversized, wrongly padded, wrongly typed or otherwise unreadable."""


class UnsupportedMessageType(DecodeError):
    """A well-formed frame carries a message type that this protocol does not know.

    A kind of :class:`DecodeError`, so that one except clause covers every unreadable frame.
    """


class JournalError(CryptoprotoError):
    """The journal of an exchange cannot be written any more, or what is in it is damaged.

    Attributes:
        path: the journal's file.
    """

    def __init__(self, path: str, text: str) -> None:
        super().__init__(path, text)
        self.path = path
        self.text = text

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


class ServerError(CryptoprotoError):
    """The exchange answered with an error frame, which it follows with a disconnect.

    Attributes:
        error_type: the number of the error type, as the exchange sent it.
        text: the exchange's own words.
    """

    def __init__(self, error_type: int, text: str) -> None:
        super().__init__(error_type, text)
        self.error_type = error_type
        self.text = text

    def __str__(self) -> str:
        return f"the exchange reports error {self.error_type}: {self.text}"


class DuplicateClientOrderId(ServerError):
    """Error type 1: the client order id was used before."""


class InvalidPayload(ServerError):
    """Error type 2: the JSON of a message was malformed or lacked a required field."""


class TradesDisabled(ServerError):
    """Error type 3: trading on the pair is disabled."""


class UnknownServerError(ServerError):
    """Error type -1, and any number that the protocol does not name."""


class ConnectionClosed(CryptoprotoError, ConnectionError):
    """The link has ended.

    Attributes:
        code: the WebSocket close code, ``None`` when the link was lost without one.
        reason: the reason given with it, or what this end observed.
        position: the last transaction id that was handed to the user, or waits in the queue to be; resuming
            from there neither loses nor repeats an event. ``None`` where none was received.
    """

    def __init__(self, code: int | None, reason: str, *, position: int | None = None) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
        self.position = position

    def __str__(self) -> str:
        code = "without a close code" if self.code is None else f"with code {self.code}"
        return f"connection closed {code}: {self.reason or 'no reason given'}"


class ConcurrentConnection(ConnectionClosed):
    """Close code 4000: a second connection of the same client id took over."""


class InvalidSequence(ConnectionClosed):
    """Close code 4001: the exchange expected another sequence number."""


class RateLimited(ConnectionClosed):
    """Close code 4009: throttling was not obeyed."""


class ServerRestart(ConnectionClosed):
    """Close code 1012: the exchange restarts; connect again in a moment."""


class HeartbeatTimeout(ConnectionClosed):
    """Nothing was heard from the peer for the heartbeat's time, or the peer says so of us."""


class SlowConsumer(ConnectionClosed):
    """Events arrived faster than they were taken, up to the hard bound; resume from :attr:`position`."""


class RequestError(CryptoprotoError):
    """One call ended without its reply; the connection may go on."""


class RequestTimeout(RequestError, TimeoutError):
    """No reply came within the call's deadline."""


class RequestNotSent(RequestError):
    """The call never left this end."""


class OutcomeUnknown(RequestError):
    """The call was sent, the link was lost, and whether it took effect is not known yet."""


class OrderRejected(CryptoprotoError):
    """The exchange refused an order."""


class InsufficientFundsError(OrderRejected):
    """The balance does not cover the order.

    Attributes:
        currency: what there is not enough of.
        order_id: the id that the exchange had given the order before it refused it.
    """

    def __init__(self, currency: str, order_id: int | None = None) -> None:
        super().__init__(currency, order_id)
        self.currency = currency
        self.order_id = order_id

    def __str__(self) -> str:
        number = "" if self.order_id is None else f" (order id {self.order_id})"
        return f"not enough {self.currency} for the order{number}"


class OrderNotFilled(CryptoprotoError):
    """An order that was accepted ended before it was filled whole."""


class StoreError(CryptoprotoError, OSError):
    """The position or the outbox could not be written: the disk is full, or the file is gone."""


class CredentialsRefused(CryptoprotoError):
    """A gateway of our own turns a request away; becomes the response ``{error, error_description}``.

    Attributes:
        status: the HTTP status to answer with.
        description: the sentence for the client. It never says more than the client knows already.
    """

    def __init__(self, status: int, description: str) -> None:
        super().__init__(status, description)
        self.status = status
        self.description = description

    def __str__(self) -> str:
        return f"refused with status {self.status}: {self.description}"


class StompError(CryptoprotoError):
    """The gateway answered with a STOMP ERROR frame, which ends the connection.

    Attributes:
        message: the frame's ``message`` header.
        text: the frame's body, where it has a readable one.
    """

    def __init__(self, message: str, text: str = "") -> None:
        super().__init__(message, text)
        self.message = message
        self.text = text

    def __str__(self) -> str:
        details = f" ({self.text})" if self.text and self.text != self.message else ""
        return f"the gateway ended the STOMP connection: {self.message or 'no reason given'}{details}"


class LicensingError(CryptoprotoError):
    """Something about a license: none is held, or it cannot be acquired, kept or managed."""


class LicenseRefused(LicensingError):
    """The license manager answered, and said no.

    Attributes:
        reason: the manager's word for it, for programs: ``no_agreement``, ``no_free_license`` and so on.
        retry_after_s: in how many seconds asking again may help, as the manager estimates; ``None`` if unknown.
    """

    def __init__(self, reason: str, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"the license manager refuses ({self.reason}): {self.message}"


class NoAgreement(LicenseRefused):
    """Reason ``no_agreement``: no agreement covers this public key and package."""


class NoFreeLicense(LicenseRefused):
    """Reason ``no_free_license``: other sets of logins hold every license of the agreement."""


class RequestMalformed(LicenseRefused):
    """Reasons ``malformed`` and ``too_large``: the manager could not open or read the request."""


class RequestStale(LicenseRefused):
    """Reason ``stale``: the request's time is too far from the manager's, or its nonce was used before."""


class TooManyRequests(LicenseRefused):
    """Reason ``too_many_requests``: this gateway, or its network address, asks too often."""


class LicenseExpired(LicensingError):
    """Neither a valid token nor a grace period is left; the text says what the last attempt met."""


class ManagerUnavailable(LicensingError, ConnectionError):
    """No license manager could be reached, or none of those reached is working."""


class MalformedMessage(LicensingError, ValueError):
    """The bytes of a request or token are truncated, out of bounds, of another type or otherwise not as laid out."""


class SealBroken(LicensingError):
    """A sealed box does not open: another key, another sender, or damaged; the three cannot be told apart."""


class InvalidToken(LicensingError):
    """A token is not signed by the pinned manager, or is meant for another key, package, set of logins or time."""


class TokenCacheError(LicensingError):
    """The cached token cannot be read, or a new one cannot be written; the token in memory stays in use."""


class LicenseDatabaseError(LicensingError):
    """The license manager's database cannot be opened, read or written."""
