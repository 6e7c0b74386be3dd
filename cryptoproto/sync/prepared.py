"""Messages and orders that are ready to be sent, without ``await``."""

from __future__ import annotations

from typing import Literal

from ..client import PreparedOrder as AsyncPreparedOrder
from ..connection import PreparedMessage as AsyncPreparedMessage
from .loop_thread import LoopThread
from .orders import Order

__all__ = ["PreparedMessage", "PreparedOrder"]


class PreparedMessage:
    """A message that is encoded and signed for the next sequence; see :class:`cryptoproto.PreparedMessage`."""

    __slots__ = ("_message", "_thread")

    def __init__(self, thread: LoopThread, message: AsyncPreparedMessage) -> None:
        self._thread = thread
        self._message = message

    @property
    def is_ready(self) -> bool:
        """Whether it is signed for the next sequence."""
        return self._thread.is_running and self._thread.call(lambda: self._message.is_ready)

    def wait_ready(self) -> None:
        """Wait until it is signed for the next sequence; see :meth:`cryptoproto.PreparedMessage.wait_ready`."""
        self._thread.run(self._message.wait_ready)

    def send(self, *, urgent: bool = False) -> int:
        """Send it and return its sequence; see :meth:`cryptoproto.PreparedMessage.send`."""
        return self._thread.run(lambda: self._message.send(urgent=urgent))

    def discard(self) -> None:
        """Forget it; nothing was sent."""
        if self._thread.is_running:
            self._thread.call(self._message.discard)

    def __repr__(self) -> str:
        return repr(self._message).replace("<", "<sync.", 1)


class PreparedOrder:
    """An order that can be sent without waiting for a signature; see :class:`cryptoproto.PreparedOrder`."""

    __slots__ = ("_order", "_thread")

    def __init__(self, thread: LoopThread, order: AsyncPreparedOrder) -> None:
        self._thread = thread
        self._order = order

    @property
    def client_order_id(self) -> int | None:
        """The client order id that it will have."""
        return self._order.client_order_id

    @property
    def is_ready(self) -> bool:
        """Whether it can be sent now, without waiting for a connection or a signature."""
        return self._thread.is_running and self._thread.call(lambda: self._order.is_ready)

    def wait_ready(self) -> None:
        """Wait until it is signed for the next sequence; see :meth:`cryptoproto.PreparedOrder.wait_ready`."""
        self._thread.run(self._order.wait_ready)

    def place(
        self, *, timeout: float = 10.0, wait: bool = True, resend: Literal["never", "once"] | None = None
    ) -> Order:
        """Place it and return it once the exchange has accepted it; see :meth:`cryptoproto.PreparedOrder.place`."""
        placed = self._thread.run(lambda: self._order.place(timeout=timeout, wait=wait, resend=resend))
        return Order(self._thread, placed)

    def discard(self) -> None:
        """Forget it; nothing was sent or stored."""
        if self._thread.is_running:
            self._thread.call(self._order.discard)

    def __repr__(self) -> str:
        return repr(self._order).replace("<", "<sync.", 1)
