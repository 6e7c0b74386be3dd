"""A message that is ready to be sent: encoded, and signed for the next sequence."""

from __future__ import annotations

from typing import Protocol

from ..exceptions import OrderInvalid
from .signer import Signer

__all__ = ["MessageSender", "PreparedMessage"]


class MessageSender(Protocol):
    """Sends messages that are encoded; a connection does."""

    @property
    def is_open(self) -> bool:
        """See :attr:`Connection.is_open <cryptoproto.Connection.is_open>`."""

    def is_free_for(self, payload: bytes) -> bool:
        """See :meth:`Connection.is_free_for <cryptoproto.connection.connection.Connection.is_free_for>`."""

    async def wait_turn(self, *, urgent: bool = False) -> None:
        """See :meth:`Connection.wait_turn <cryptoproto.connection.connection.Connection.wait_turn>`."""

    async def send_encoded(self, payload: bytes) -> int:
        """See :meth:`Connection.send_encoded <cryptoproto.connection.connection.Connection.send_encoded>`."""


class PreparedMessage:
    """A message that can leave without waiting for a signature; made by :meth:`Connection.prepare`.

    It is signed for the next sequence. When another message takes that sequence, it is signed again in the background,
    for the one after. It takes no sequence itself before it is sent. Until then, it costs a signature of a thread for
    each message that is sent: :meth:`discard` what is not needed. It ends with its connection.
    """

    __slots__ = ("_over", "_payload", "_sender", "_signer")

    def __init__(self, sender: MessageSender, signer: Signer | None, payload: bytes) -> None:
        self._sender = sender
        self._signer = signer
        self._payload = payload
        self._over: str | None = None
        if signer is not None:
            signer.keep_signed(payload)

    @property
    def is_ready(self) -> bool:
        """Whether it is signed for the next sequence. With ``Protocol.V5``, always, until it is sent or discarded."""
        is_signed = self._sender.is_open if self._signer is None else self._signer.is_signed(self._payload)
        return self._over is None and is_signed

    async def wait_ready(self) -> None:
        """Wait until it is signed for the next sequence. Messages that are being sent are signed first.

        Raises:
            OrderInvalid: it was sent or discarded.
            ServerError, ConnectionClosed, DecodeError: the connection has ended.
        """
        self._check()
        self._sender.is_free_for(self._payload)  # raises if the connection has ended
        if self._signer is not None:
            await self._signer.wait_signed(self._payload)
            self._check()

    async def send(self, *, urgent: bool = False) -> int:
        """Send it and return its sequence; as :meth:`Connection.send`, without the wait for a signature.

        If it is not signed for the next sequence yet, it is sent as any other message. If cancelled while throttling
        holds it, it is not sent and stays prepared.

        Args:
            urgent: send before messages that throttling holds and that are not urgent.

        Raises:
            OrderInvalid: it was sent or discarded.
            ServerError, ConnectionClosed, DecodeError: the connection has ended, before or during the call; ``.sent``
                says whether the message was sent.
        """
        self._check()
        if not self._sender.is_free_for(self._payload):
            await self._sender.wait_turn(urgent=urgent)
            self._check()
        self._over = "sent"
        try:
            return await self._sender.send_encoded(self._payload)
        finally:
            if self._signer is not None:
                self._signer.release(self._payload)

    def discard(self) -> None:
        """Forget it; nothing was sent. Does nothing if it was sent or discarded."""
        if self._over is None:
            self._over = "discarded"
            if self._signer is not None:
                self._signer.release(self._payload)

    def _check(self) -> None:
        if self._over is not None:
            raise OrderInvalid(f"this message was {self._over} already; prepare() another one")

    def __repr__(self) -> str:
        state = self._over or ("ready" if self.is_ready else "not signed yet")
        return f"<PreparedMessage of {len(self._payload)} bytes, {state}>"
