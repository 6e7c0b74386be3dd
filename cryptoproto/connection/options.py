"""The options of a connection, immutable and checked before anything is opened."""

from __future__ import annotations

import ssl as ssl_module
from collections.abc import Callable
from typing import Any, Final, TypedDict
from urllib.parse import urlsplit

import msgspec

from ..arguments import SMALLEST_LIMIT, check_count, check_plain_function, check_seconds, check_tls, check_url
from ..exceptions import ConfigurationError
from ..keys import PrivateKey, PublicKey
from ..transport import TransportKind, TransportOpener
from ..wire import MAX_FRAME_BYTES, Protocol
from .event import Event

__all__ = ["ConnectArguments", "ConnectCall", "ConnectOptions", "ConnectOverrides", "Throttle", "default_throttle"]

Throttle = Callable[[int, int, int], float]
"""Called with level, request id and order id of a throttling frame; returns for how many seconds to hold messages."""

MAX_QUEUE_BYTES: Final = 64 * 2**20


def default_throttle(level: int, request_id: int, order_id: int) -> float:
    """The usual policy: a millisecond for each order above the limit."""
    return level / 1000


class _Settings(TypedDict, total=False):
    resume_from: int
    protocol: Protocol
    transport: TransportKind | TransportOpener
    ssl: ssl_module.SSLContext | None
    open_timeout: float
    ping_interval: float | None
    ping_timeout: float | None
    request_timeout: float
    max_queue: int
    max_message_size: int
    signer_threads: int
    throttle: Throttle | None
    on_event: Callable[[Event], Any] | None
    insecure: bool
    lock: bool
    exclusive: bool


class ConnectArguments(_Settings):
    """The keyword arguments of :func:`~cryptoproto.connect`, which describes them."""

    client_id: str
    private_key: PrivateKey
    server_key: PublicKey


class ConnectCall(ConnectArguments):
    """All arguments of :func:`~cryptoproto.connect`, the address included."""

    url: str


class ConnectOverrides(_Settings, total=False):
    """Arguments of :func:`~cryptoproto.connect`, none of them required: what replaces settings of a profile."""

    url: str
    client_id: str
    private_key: PrivateKey
    server_key: PublicKey


class ConnectOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of :func:`~cryptoproto.connect`, which describes them."""

    url: str
    client_id: str
    private_key: PrivateKey
    server_key: PublicKey
    resume_from: int = 0
    protocol: Protocol = Protocol.SIGNED
    transport: TransportKind | TransportOpener = "auto"
    ssl: ssl_module.SSLContext | None = None
    open_timeout: float = 10.0
    ping_interval: float | None = 4.0
    ping_timeout: float | None = 10.0
    request_timeout: float = 10.0
    max_queue: int = 65_536
    max_message_size: int = MAX_FRAME_BYTES
    signer_threads: int = 2
    throttle: Throttle | None = None
    on_event: Callable[[Event], Any] | None = None
    insecure: bool = False
    lock: bool = True
    exclusive: bool = False

    def __post_init__(self) -> None:
        check_url(self.url, insecure=self.insecure)
        for name, value, kind in (
            ("client_id", self.client_id, str),
            ("private_key", self.private_key, PrivateKey),
            ("server_key", self.server_key, PublicKey),
            ("protocol", self.protocol, Protocol),
        ):
            if not isinstance(value, kind):
                raise ConfigurationError(f"{name} must be a {kind.__name__}, not {type(value).__name__}")
        if isinstance(self.resume_from, bool) or not isinstance(self.resume_from, int) or self.resume_from < -1:
            raise ConfigurationError(
                f"resume_from={self.resume_from!r} must be the last transaction id that was processed, "
                f"0 for all events, or -1 for only live events"
            )
        for name, seconds in (
            ("open_timeout", self.open_timeout),
            ("request_timeout", self.request_timeout),
            ("ping_interval", 1.0 if self.ping_interval is None else self.ping_interval),
            ("ping_timeout", 1.0 if self.ping_timeout is None else self.ping_timeout),
        ):
            check_seconds(name, seconds)
        check_count("max_queue", self.max_queue, 1)
        check_count("max_message_size", self.max_message_size, SMALLEST_LIMIT)
        check_count("signer_threads", self.signer_threads, 1)
        if not callable(self.transport) and not isinstance(self.transport, str):
            raise ConfigurationError(f"transport={self.transport!r} must be a name or an opener")
        check_tls(self.ssl, wanted=urlsplit(self.url).scheme == "wss")
        if self.exclusive and not self.lock:
            raise ConfigurationError("exclusive=True needs the lock: leave out lock=False")
        for name, function in (("throttle", self.throttle), ("on_event", self.on_event)):
            if function is not None:
                check_plain_function(name, function)
