"""All errors that cryptoproto raises, as one tree.

::

    CryptoprotoError
    ├── ConfigurationError (ValueError)       an argument, a key file or an address cannot be used
    │   ├── MissingExtra (ModuleNotFoundError)  a package of an extra is not installed
    │   ├── PasswordRequired                  a private key is encrypted, and no password was given
    │   ├── OrderInvalid                      an order was rejected locally; nothing was sent
    │   └── IdentityInUse                     another connection on this machine uses the client id
    ├── HandshakeError                        the handshake failed
    │   ├── InvalidKey
    │   ├── OpenTimeout (TimeoutError)
    │   ├── LoginRefused                      an API key, its session or a signed CONNECT was refused
    │   └── UnsupportedVersion
    ├── ProtocolError                         the peer broke the protocol
    │   └── DecodeError (ValueError)
    │       └── UnsupportedMessageType
    ├── JournalError                          an exchange's journal is damaged, or cannot be written
    ├── RecordingError                        a recording is damaged, or cannot be written
    ├── ServerError                           the exchange answered with an error frame
    │   ├── DuplicateClientOrderId
    │   ├── InvalidPayload
    │   ├── TradesDisabled
    │   └── UnknownServerError
    ├── ConnectionClosed (ConnectionError)    the connection has ended
    │   ├── ConnectError                      nobody answers at the address
    │   ├── ConcurrentConnection  4000
    │   ├── InvalidSequence       4001
    │   ├── RateLimited           4009
    │   ├── ServerRestart         1012
    │   ├── HeartbeatTimeout
    │   ├── HistoryRewound                    the exchange knows less than this client
    │   ├── HistoryTruncated                  the gateway's stream begins after this strategy's position
    │   └── SlowConsumer
    ├── RequestError                          one call ended without its reply
    │   ├── RequestTimeout (TimeoutError)
    │   ├── RequestNotSent
    │   │   └── ClientClosed                  a retry cannot succeed
    │   └── OutcomeUnknown
    ├── OrderRejected                         the exchange rejected an order
    │   ├── InsufficientFundsError
    │   └── OrderNotOpen                      there was nothing to cancel or replace
    │       └── OrderFilled
    ├── OrderNotFilled                        an order ended before it was completely filled
    ├── ReplaceIncomplete                     one half of a replace took effect, and the other did not
    ├── StoreError (OSError)                  a client's store cannot be read or written
    ├── CredentialsRefused                    our own gateway refuses a request with this HTTP status
    ├── StompError                            the gateway answered with a STOMP ERROR frame
    ├── GatewayError                          the NATS gateway cannot be used
    │   └── OwnershipLost                     this process does not own the exchange session any more
    └── LicensingError                        there is no license, or it cannot be acquired or kept
        ├── LicenseRefused                    the license manager refused the request
        │   ├── NoAgreement
        │   ├── NoFreeLicense
        │   ├── RequestMalformed
        │   ├── RequestStale
        │   └── TooManyRequests
        ├── LicenseExpired                    the token and the grace period have expired
        ├── ManagerUnavailable (ConnectionError)
        ├── MalformedMessage (ValueError)     a request or token does not match its layout
        ├── SealBroken                        a sealed box cannot be opened
        ├── InvalidToken                      a token is not signed by the manager, or was issued for someone else
        ├── TokenCacheError                   the cached token cannot be read or written
        └── LicenseDatabaseError              the manager's database cannot be used
"""

from __future__ import annotations

from .apikeys import (
    CredentialsRefused,
    LoginRefused,
    StompError,
)
from .base import (
    ConfigurationError,
    CryptoprotoError,
    IdentityInUse,
    MissingExtra,
    OrderInvalid,
    PasswordRequired,
)
from .connection import (
    ConcurrentConnection,
    ConnectError,
    ConnectionClosed,
    DecodeError,
    DuplicateClientOrderId,
    HandshakeError,
    HeartbeatTimeout,
    HistoryRewound,
    InvalidKey,
    InvalidPayload,
    InvalidSequence,
    OpenTimeout,
    ProtocolError,
    RateLimited,
    ServerError,
    ServerRestart,
    SlowConsumer,
    TradesDisabled,
    UnknownServerError,
    UnsupportedMessageType,
    UnsupportedVersion,
)
from .gateway import GatewayError, HistoryTruncated, OwnershipLost
from .licensing import (
    InvalidToken,
    LicenseDatabaseError,
    LicenseExpired,
    LicenseRefused,
    LicensingError,
    MalformedMessage,
    ManagerUnavailable,
    NoAgreement,
    NoFreeLicense,
    RequestMalformed,
    RequestStale,
    SealBroken,
    TokenCacheError,
    TooManyRequests,
)
from .trading import (
    ClientClosed,
    InsufficientFundsError,
    JournalError,
    OrderFilled,
    OrderNotFilled,
    OrderNotOpen,
    OrderRejected,
    OutcomeUnknown,
    RecordingError,
    ReplaceIncomplete,
    RequestError,
    RequestNotSent,
    RequestTimeout,
    StoreError,
)

__all__ = [
    "ClientClosed",
    "ConcurrentConnection",
    "ConfigurationError",
    "ConnectError",
    "ConnectionClosed",
    "CredentialsRefused",
    "CryptoprotoError",
    "DecodeError",
    "DuplicateClientOrderId",
    "GatewayError",
    "HandshakeError",
    "HeartbeatTimeout",
    "HistoryRewound",
    "HistoryTruncated",
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
    "MissingExtra",
    "NoAgreement",
    "NoFreeLicense",
    "OpenTimeout",
    "OrderFilled",
    "OrderInvalid",
    "OrderNotFilled",
    "OrderNotOpen",
    "OrderRejected",
    "OutcomeUnknown",
    "OwnershipLost",
    "PasswordRequired",
    "ProtocolError",
    "RateLimited",
    "RecordingError",
    "ReplaceIncomplete",
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
