"""One connected STOMP client: what its frames do. No I/O: frames in, bytes into an outbox."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Self

from ...exceptions import ProtocolError, SlowConsumer
from ..stomp_frames import Frame, encode_head
from .request_check import Principal
from .stomp_broker import Delivery, StompBroker

__all__ = ["Authorize", "Outbox", "StompPeer", "StompRefusal", "allow_by_authorities"]

Action = Literal["subscribe", "send"]
Authorize = Callable[[Principal, Action, str], bool]
"""Whether a principal may subscribe or send to a destination."""

_AUTHORITIES: Final[Mapping[Action, str]] = {"subscribe": "TB_ALLOW_READ", "send": "TB_ALLOW_WRITE"}
_LONGEST_ID: Final = 256  # characters of a subscription's id
_LONGEST_DESTINATION: Final = 1024  # characters
_MAXIMUM_UNACKNOWLEDGED: Final = 4096  # of one subscription; older ones count as acknowledged
_FRAME_OVERHEAD: Final = 128  # bytes that a waiting frame takes in memory beside its head and body
_REVOKED: Final = "the API key was removed or changed"
_ACK_MODES: Final = ("auto", "client", "client-individual")


class StompRefusal(ProtocolError):
    """The client sent something that ends the connection with an ERROR frame.

    Attributes:
        receipt: the receipt that the offending frame asked for.
    """

    def __init__(self, text: str, receipt: str | None = None) -> None:
        super().__init__(text)
        self.receipt = receipt


def allow_by_authorities(principal: Principal, action: Action, destination: str) -> bool:
    """Allow SUBSCRIBE with the authority ``TB_ALLOW_READ``, and SEND with ``TB_ALLOW_WRITE``."""
    return _AUTHORITIES[action] in principal.authorities


class Outbox:
    """Frames that wait to be written, up to a limit of frames and of bytes.

    A body that waits for several subscribers is held once: only the heads are copied for each of them.

    Args:
        version: of STOMP.
        limit: how many frames may wait.
        limit_bytes: how many bytes the waiting frames may have. A body counts for each frame that has it, because each
            is to be written.
    """

    __slots__ = ("_failure", "_limit", "_limit_bytes", "_size", "_version", "_waiting", "_wake", "finished")

    def __init__(self, version: str, limit: int, limit_bytes: int) -> None:
        self._version = version
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._size = 0
        self._waiting: deque[tuple[bytes, bytes]] = deque()
        self._failure: ProtocolError | SlowConsumer | None = None
        self._wake = asyncio.Event()
        self.finished: bool = False

    def put(self, frame: Frame) -> None:
        """Add a frame. If it exceeds a limit, it is dropped and the connection ends."""
        if self._failure is not None:
            return
        head = encode_head(frame, self._version)
        size = _size(head, frame.body)
        if len(self._waiting) >= self._limit:
            self.fail(SlowConsumer(1008, f"more than {self._limit} messages waited for this client"))
        elif self._size + size > self._limit_bytes:
            self.fail(SlowConsumer(1008, f"more than {self._limit_bytes} bytes waited for this client"))
        else:
            self._waiting.append((head, frame.body))
            self._size += size
        self._wake.set()

    def fail(self, reason: StompRefusal | SlowConsumer) -> None:
        """End the connection for this reason. Waiting frames are dropped."""
        self._failure = self._failure or reason
        self._waiting.clear()
        self._wake.set()

    def finish(self) -> None:
        """End the connection when the waiting frames are written."""
        self.finished = True
        self._wake.set()

    def pop(self) -> bytes | None:
        """The next frame's bytes, or ``None`` if there is none. Raises the reason given to :meth:`fail`."""
        if self._failure is not None:
            raise self._failure
        if self._waiting:
            head, body = self._waiting.popleft()
            self._size -= _size(head, body)
            return b"%b%b\0" % (head, body)
        self._wake.clear()
        return None

    async def wait(self) -> None:
        """Wait until there is something to write."""
        await self._wake.wait()


def _size(head: bytes, body: bytes) -> int:
    return len(head) + len(body) + _FRAME_OVERHEAD


@dataclass(slots=True)
class _Subscription:
    destination: str
    ack_mode: str
    stop: Callable[[], None]
    unacknowledged: dict[str, None] = field(default_factory=dict)  # oldest first


class StompPeer:
    """One connected client: its subscriptions, and the handling of each of its frames.

    Args:
        principal: the sender of the CONNECT.
        version: of STOMP.
        broker: whose topics are served.
        authorize: called for every SUBSCRIBE and SEND.
        outbox: receives answers and messages.
        still_stands: whether the credentials of the CONNECT are still valid. Called for every frame in and out.
        max_subscriptions: how many the client may have.
    """

    __slots__ = (
        "_ack_ids",
        "_authorize",
        "_broker",
        "_max_subscriptions",
        "_outbox",
        "_principal",
        "_still_stands",
        "_subscriptions",
        "_version",
    )

    def __init__(
        self,
        principal: Principal,
        version: str,
        broker: StompBroker,
        authorize: Authorize,
        outbox: Outbox,
        still_stands: Callable[[], bool],
        *,
        max_subscriptions: int,
    ) -> None:
        self._principal = principal
        self._version = version
        self._broker = broker
        self._authorize = authorize
        self._outbox = outbox
        self._still_stands = still_stands
        self._max_subscriptions = max_subscriptions
        self._subscriptions: dict[str, _Subscription] = {}
        self._ack_ids = itertools.count(1)

    def take(self, frame: Frame) -> bool:
        """Handle one frame. Return False if it was the last one, a DISCONNECT.

        Raises:
            StompRefusal: the frame is not allowed, or invalid.
        """
        receipt = frame.headers.get("receipt")
        try:
            self._handle(frame)
        except StompRefusal as refusal:
            refusal.receipt = receipt
            raise
        if receipt is not None:
            self._outbox.put(Frame("RECEIPT", {"receipt-id": receipt}))
        return frame.command != "DISCONNECT"

    def _handle(self, frame: Frame) -> None:
        if not self._still_stands():
            raise StompRefusal(_REVOKED)
        match frame.command:
            case "SEND":
                self._send(frame)
            case "SUBSCRIBE":
                self._subscribe(frame)
            case "UNSUBSCRIBE":
                subscription = self._subscriptions.pop(_needed(frame, "id"), None)
                if subscription is None:
                    raise StompRefusal("there is no subscription with that id")
                subscription.stop()
            case "ACK" | "NACK":
                self._acknowledge(frame)
            case "DISCONNECT":
                pass
            case "BEGIN" | "COMMIT" | "ABORT":
                raise StompRefusal("transactions are not supported")
            case _:
                raise StompRefusal(f"a {frame.command} frame is not expected here")

    def _send(self, frame: Frame) -> None:
        destination = _needed(frame, "destination")
        if "transaction" in frame.headers:
            raise StompRefusal("transactions are not supported")
        if not self._authorize(self._principal, "send", destination):
            raise StompRefusal("this key may not send to that destination")
        own = ("destination", "content-type", "content-length", "receipt")
        self._broker.publish(
            destination,
            frame.body,
            content_type=frame.headers.get("content-type", "application/octet-stream"),
            headers={name: value for name, value in frame.headers.items() if name not in own},
        )

    def _subscribe(self, frame: Frame) -> None:
        name, destination = _needed(frame, "id"), _needed(frame, "destination")
        ack_mode = frame.headers.get("ack", "auto")
        if ack_mode not in _ACK_MODES:
            raise StompRefusal(f"ack must be one of {', '.join(_ACK_MODES)}")
        if len(name) > _LONGEST_ID or len(destination) > _LONGEST_DESTINATION:
            raise StompRefusal(f"an id has at most {_LONGEST_ID} characters, a destination {_LONGEST_DESTINATION}")
        if name in self._subscriptions:
            raise StompRefusal("there is already a subscription with that id")
        if len(self._subscriptions) >= self._max_subscriptions:
            raise StompRefusal(f"a connection can have {self._max_subscriptions} subscriptions at most")
        if not self._authorize(self._principal, "subscribe", destination):
            raise StompRefusal("this key may not subscribe to that destination")

        def deliver(delivery: Delivery) -> None:
            self._deliver(name, subscription, delivery)

        subscription = _Subscription(destination, ack_mode, self._broker.listen(destination, deliver))
        self._subscriptions[name] = subscription

    def _deliver(self, name: str, subscription: _Subscription, delivery: Delivery) -> None:
        if not self._still_stands():
            self._outbox.fail(StompRefusal(_REVOKED))
            return
        headers = {
            **delivery.headers,
            "subscription": name,
            "message-id": delivery.message_id,
            "destination": delivery.destination,
        }
        if subscription.ack_mode != "auto":
            # STOMP 1.1 acknowledges by message-id, 1.2 by a header for this purpose.
            token = str(next(self._ack_ids)) if self._version == "1.2" else delivery.message_id
            if self._version == "1.2":
                headers["ack"] = token
            waiting = subscription.unacknowledged
            waiting[token] = None
            if len(waiting) > _MAXIMUM_UNACKNOWLEDGED:
                del waiting[next(iter(waiting))]
        self._outbox.put(Frame("MESSAGE", headers, delivery.body))

    def _acknowledge(self, frame: Frame) -> None:
        if self._version == "1.2":
            token = _needed(frame, "id")
            candidates = list(self._subscriptions.values())
        else:
            token = _needed(frame, "message-id")
            known = self._subscriptions.get(_needed(frame, "subscription"))
            candidates = [] if known is None else [known]
        for subscription in candidates:
            if token in subscription.unacknowledged:
                if subscription.ack_mode == "client":  # this one and all before
                    for earlier in list(itertools.takewhile(lambda one: one != token, subscription.unacknowledged)):
                        del subscription.unacknowledged[earlier]
                del subscription.unacknowledged[token]
                return
        raise StompRefusal("there is no unacknowledged message with that id")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for subscription in self._subscriptions.values():
            subscription.stop()
        self._subscriptions.clear()


def _needed(frame: Frame, name: str) -> str:
    value = frame.headers.get(name)
    if not value:
        raise StompRefusal(f"a {frame.command} frame needs the header {name}")
    return value
