"""The peer under test, as the runner reaches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..keys import PrivateKey, PublicKey
from ..transport import Closed, Listener, Transport, TransportOpener
from .control import Control
from .exchange_end import ExchangeEnd

__all__ = ["Arrivals", "ClientUnderTest", "ExchangeUnderTest"]


class ExchangeUnderTest(msgspec.Struct, frozen=True):
    """An exchange that scripts connect to.

    Attributes:
        url: its address for clients.
        market_data_url: its address for market data; empty if it has none, and then scripts about it are skipped.
        server_key: its public key.
        clients: the keys of the clients that it knows: ``alice`` and ``bob``, with money.
        opener: opens connections.
        control: its operator.
        cleans: whether open orders are cancelled after each script, because the next one meets the same exchange.
    """

    url: str
    market_data_url: str
    server_key: PublicKey
    clients: Mapping[str, PrivateKey]
    opener: TransportOpener
    control: Control
    cleans: bool = True


class Arrivals:
    """Where the connections of a client under test arrive.

    Attributes:
        make_end: makes the script's end of the next connection; ``None`` between scripts.
    """

    def __init__(self) -> None:
        self.make_end: Callable[[], ExchangeEnd] | None = None

    def make_listener(self) -> Listener:
        """The listener of a new connection; for :func:`~cryptoproto.transport.serve`."""
        return _Unwanted() if self.make_end is None else self.make_end()


class ClientUnderTest(msgspec.Struct, frozen=True):
    """A client that connects to scripts.

    Attributes:
        client_id: its client id.
        client_key: its public key.
        exchange_key: the private key of the exchange that the scripts play.
        arrivals: where its connections arrive.
        control: takes the actions of the scripts.
        connect: what it needs to know for connecting: the address, and where the keys are.
    """

    client_id: str
    client_key: PublicKey
    exchange_key: PrivateKey
    arrivals: Arrivals
    control: Control
    connect: Mapping[str, Any]


class _Unwanted:
    """A connection that comes while no script runs."""

    def on_open(self, transport: Transport) -> None:
        transport.abort()

    def on_message(self, data: bytes, more: bool = False) -> None:
        pass

    def on_text(self, text: str) -> None:
        pass

    def on_heard(self) -> None:
        pass

    def on_closed(self, closed: Closed) -> None:
        pass
