"""The server's side of one handshake: who the client claims to be, and whether it proves it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import NamedTuple, Protocol

from ..exceptions import ConfigurationError
from ..wire import ClientFrame, ClientHello, CloseCode, Proven, ServerSession
from .handshakes import Handshakes
from .ledger import ClientRecord
from .venue import Venue

__all__ = ["Authentication", "AuthenticationHost", "ClientConnections", "Rejection"]


class ClientConnections(Protocol):
    """The live connections of the exchange, as a handshake uses them."""

    def is_newest(self, client_id: str, hello_number: int) -> bool:
        """Whether no live link of the client began with a later hello."""


class AuthenticationHost(Protocol):
    """The exchange, as a handshake uses it."""

    @property
    def venue(self) -> Venue:
        """The registered clients."""

    @property
    def handshakes(self) -> Handshakes:
        """The limits of handshakes, and the threads for RSA."""

    @property
    def links(self) -> ClientConnections:
        """The live connections."""

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back."""


class Rejection(NamedTuple):
    """Why a handshake failed: the close code, and the text for the client."""

    code: int
    reason: str


class Authentication:
    """The handshake of one connection.

    Args:
        host: the exchange.
        session: the protocol's state of the connection.

    Attributes:
        hello: what the client claims, once its hello has been decrypted.
        hello_number: the later the hello arrived, the higher; 0 before it has arrived.
        computing: whether a thread decrypts the hello.
        address: of the peer while the handshake is under way; empty if it has none.
    """

    def __init__(self, host: AuthenticationHost, session: ServerSession) -> None:
        self.hello: ClientHello | None = None
        self.hello_number: int = 0
        self.computing: bool = False
        self.address: str | None = None
        self._host = host
        self._session = session
        self._claimed: ClientRecord | None = None

    def begin(self, address: str) -> Rejection | None:
        """Begin the handshake; ``None``, or why the address may have none now."""
        refusal = self._host.handshakes.begin(address, self._host.monotonic())
        if refusal is not None:
            return Rejection(CloseCode.TRY_AGAIN_LATER, refusal)
        self.address = address
        return None

    def decrypt(self, data: bytes, then: Callable[[Future[ClientHello | Proven | ClientFrame]], None]) -> None:
        """Decrypt a hello in a thread, which takes about 2 ms, and call *then* in the event loop.

        The rest of the handshake takes RSA's fast half, with the public key.
        """
        self.hello_number = self._host.handshakes.next_number()
        self.computing = True

        def finish(done: Future[ClientHello | Proven | ClientFrame]) -> None:
            self.computing = False
            then(done)

        self._host.handshakes.run(lambda: self._session.receive(data), finish)

    def answer(self, hello: ClientHello) -> bytes | Rejection:
        """The answer to a hello. It contains the client's last sequence, which must be durable before it is sent."""
        self.hello = hello
        record = self._claimed = self._host.venue.client(hello.client_id)
        if record is None:
            return Rejection(
                CloseCode.POLICY_VIOLATION, f"invalid key: client id {hello.client_id!r} is not registered"
            )
        try:
            return self._session.accept(record.public_key, record.last_sequence)
        except ConfigurationError as error:
            return Rejection(CloseCode.POLICY_VIOLATION, f"invalid key: {error}")

    def finish(self) -> ClientRecord | Rejection:
        """The client, which has signed the challenge."""
        record = self._claimed
        if record is None:
            return Rejection(CloseCode.PROTOCOL_ERROR, "a proof came before the hello")
        if not self._host.links.is_newest(record.client_id, self.hello_number):
            return Rejection(CloseCode.CONCURRENT_CONNECTION, "a newer connection of this client is live")
        if record.last_sequence != self._session.next_sequence - 1:
            # An older connection of the same client went on sending during this handshake.
            return Rejection(
                CloseCode.INVALID_SEQUENCE, "messages came over another connection meanwhile; connect again"
            )
        return record

    def end(self) -> None:
        """The handshake is over, or was given up. Idempotent."""
        if self.address is not None:
            self._host.handshakes.end(self.address)
            self.address = None
