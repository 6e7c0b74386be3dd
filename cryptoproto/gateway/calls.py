"""What strategies ask the owner, and its replies, as JSON over NATS requests.

Times are those of the owner's monotonic clock, which every reply states. A strategy derives its deadlines from it, so
no two clocks have to agree. A fence names the owner whose clock it is; another owner refuses the call, unread.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from ..client.error_row import ErrorRow
from ..exceptions import DecodeError
from ..messages import MALFORMED, Balance, OpenOrders

__all__ = [
    "Ask",
    "Call",
    "CallCancel",
    "CallPlace",
    "EventsFrom",
    "Hello",
    "OpenEvents",
    "OutcomeOf",
    "OwnerState",
    "Reply",
    "Snapshot",
    "TakeSnapshot",
    "Welcome",
    "decode_call",
    "encode",
]


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """Who is the owner, and which number does this strategy have? Answered with a :class:`Welcome`."""


class CallPlace(msgspec.Struct, frozen=True, tag="place"):
    """Place an order: *payload* is the message to the exchange, with a client order id of this strategy.

    *given_at* is the time at which the command was given, on the clock of the first owner that it was sent to.
    """

    command: str
    fence: int
    deadline: float
    payload: msgspec.Raw
    wait: bool = True
    given_at: float = 0.0


class CallCancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Cancel an order of this strategy."""

    command: str
    fence: int
    deadline: float
    order_id: int
    wait: bool = True
    given_at: float = 0.0


class OutcomeOf(msgspec.Struct, frozen=True, tag="outcome"):
    """What became of a command? If no owner has ever seen it, it is refused from now on.

    Attributes:
        command: its id.
        fence: of the owner that is asked.
        given_to: the fence of the first owner that the command was sent to.
        given_at: when it was given, on that owner's clock. The log does not remember outcomes for ever: an older
            command may have been carried out.
    """

    command: str
    fence: int
    given_to: int
    given_at: float


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """An RPC request to the exchange, which changes nothing there."""

    fence: int
    deadline: float
    payload: msgspec.Raw


class TakeSnapshot(msgspec.Struct, frozen=True, tag="snapshot"):
    """The tables of the owner at one moment. Answered with a :class:`Snapshot`."""

    fence: int


class OpenEvents(msgspec.Struct, frozen=True, tag="events"):
    """Deliver the event stream from a position on. Answered with :class:`EventsFrom`.

    The owner creates the consumer: whoever may create one in NATS could have any subject written to.

    Attributes:
        fence: of the owner.
        deliver: where to, a subject of the strategy's own inbox.
        position: everything after this transaction; ``None`` = everything.
        live_only: nothing that is in the stream already, if there is no position.
    """

    fence: int
    deliver: str
    position: int | None = None
    live_only: bool = False


class EventsFrom(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answers :class:`OpenEvents`.

    Attributes:
        number: of the first message that is delivered.
        truncated_at: the first transaction in the stream, if the stream begins after the position. Nothing is
            delivered then.
        position: the last transaction before that message, if only what is new is delivered.
    """

    number: int
    truncated_at: int | None = None
    position: int | None = None


Call: TypeAlias = TakeSnapshot | Hello | CallPlace | CallCancel | OutcomeOf | Ask | OpenEvents


class OwnerState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the owner's link is doing; published when it changes, and every second.

    Attributes:
        fence: the owner's.
        state: the value of a :class:`~cryptoproto.State`.
        reason: why, in words.
        position: the last transaction in the event stream, -1 if it is empty.
        error: what has closed the link for good.
    """

    fence: int
    state: str
    reason: str
    position: int
    error: ErrorRow | None = None


class Welcome(msgspec.Struct, frozen=True):
    """Answers :class:`Hello`.

    Attributes:
        number: of the strategy; its client order ids contain it.
        owner: the state of the owner's link.
    """

    number: int
    owner: OwnerState


class Snapshot(msgspec.Struct, frozen=True):
    """All open orders and balances of the client id.

    Attributes:
        position: the last transaction that they include.
        order_books: the open orders by trade pair.
        balances: by currency.
    """

    position: int
    order_books: dict[str, OpenOrders]
    balances: dict[str, Balance]


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """The owner's reply to any call.

    Attributes:
        fence: the owner's; with another fence than that of the call, the call was not carried out.
        clock: its monotonic clock when the reply was written.
        outcome: without an error if the call took effect.
        pending: whether the outcome is not known yet.
        result: what the call asked for, as JSON.
    """

    fence: int
    clock: float
    outcome: ErrorRow = msgspec.field(default_factory=ErrorRow)
    pending: bool = False
    result: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def has_result(self) -> bool:
        """Whether there is a :attr:`result`."""
        return bytes(self.result) != b"null"


_calls: Final = msgspec.json.Decoder(Call)
_encoder: Final = msgspec.json.Encoder()
encode: Final = _encoder.encode
"""A call, a reply or a result as JSON."""


def decode_call(data: bytes) -> Call:
    """The call in a request.

    Raises:
        DecodeError: it is none.
    """
    try:
        call: Call = _calls.decode(data)
    except MALFORMED as error:
        raise DecodeError(f"not a call to a gateway: {error}") from error
    return call
