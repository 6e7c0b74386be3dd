"""What the owner writes to the command log, as JSON: the records that are written together are one message.

The log says which commands were given to the exchange, under which sequence, and how each ended. Together with the
last sequence of the next handshake, that is enough for a new owner to learn what became of every command.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, TypeAlias

import msgspec

from ..client.error_row import ErrorRow
from ..client.store import OutboxKind
from ..exceptions import DecodeError
from ..messages import MALFORMED

__all__ = [
    "Answered",
    "Checkpoint",
    "Connected",
    "Intent",
    "LogRecord",
    "Placed",
    "Rewound",
    "Takeover",
    "decode_records",
    "encode_records",
]


class Takeover(msgspec.Struct, frozen=True, tag="takeover"):
    """A new owner begins. It changes the last sequence of the stream, so nothing the old owner writes is accepted.

    Attributes:
        fence: of the new owner; grows with each takeover.
        member: its process.
    """

    fence: int
    member: str


class Intent(msgspec.Struct, frozen=True, tag="intent", omit_defaults=True):
    """A command is about to be sent to the exchange. A second intent of a command replaces the first.

    Attributes:
        command: its id: the strategy, ``/``, and what the strategy has chosen.
        strategy: who gave it.
        kind: what it asks for.
        payload: the message to the exchange.
        sequence: the sequence that it is about to be sent with.
        created_ns: when, in unix nanoseconds.
        client_order_id: of the order that it places.
    """

    command: str
    strategy: str
    kind: OutboxKind
    payload: msgspec.Raw
    sequence: int
    created_ns: int
    client_order_id: int | None = None


class Placed(msgspec.Struct, frozen=True):
    """The order that a command placed or cancelled, as the owner knew it when it answered."""

    order_id: int
    amount: Decimal
    remaining: Decimal
    price: Decimal
    filled: bool
    client_order_id: int | None = None


class Answered(msgspec.Struct, frozen=True, tag="answered", omit_defaults=True):
    """A command has its outcome, the one that every repetition of its id gets.

    Attributes:
        command: its id.
        strategy: who gave it.
        outcome: why it did not take effect; without an error if it did.
        client_order_id: of the order that it placed or was to place.
        placed: the order that it placed or cancelled, if its owner saw the outcome.
        settled_through: the transaction that the outcome follows from; see :attr:`Store.settled_through
            <cryptoproto.Store.settled_through>`.
        fence: of the owner that wrote it.
        at: when, on that owner's clock.
    """

    command: str
    strategy: str
    outcome: ErrorRow
    client_order_id: int | None = None
    placed: Placed | None = None
    settled_through: int = -1
    fence: int = 0
    at: float = 0.0


class Checkpoint(msgspec.Struct, frozen=True, tag="checkpoint"):
    """What still counts of the records that are deleted next.

    Attributes:
        fence: of the owner.
        settled_through: as in :class:`Answered`, over all records so far.
        forgotten_fence: the owner that wrote the last outcome that is forgotten; 0 if none is.
        forgotten_at: when, on that owner's clock.
    """

    fence: int
    settled_through: int
    forgotten_fence: int
    forgotten_at: float


class Connected(msgspec.Struct, frozen=True, tag="connected"):
    """The owner has opened a connection to the exchange: what has a later sequence so far was not received."""

    last_sequence: int


class Rewound(msgspec.Struct, frozen=True, tag="rewound"):
    """The exchange has forgotten history. Nobody may go on with this log: a later owner might not notice it.

    The attributes are those of :exc:`~cryptoproto.HistoryRewound`.
    """

    position: int
    exchange_position: int
    what: str


LogRecord: TypeAlias = Takeover | Connected | Intent | Answered | Checkpoint | Rewound

_decoder: Final = msgspec.json.Decoder(list[LogRecord])
_encoder: Final = msgspec.json.Encoder()


def encode_records(*records: LogRecord) -> bytes:
    """*records* as one message."""
    return _encoder.encode(records)


def decode_records(data: bytes) -> list[LogRecord]:
    """The records of a message.

    Raises:
        DecodeError: there are none, or they were written by a newer version.
    """
    try:
        return _decoder.decode(data)
    except MALFORMED as error:
        raise DecodeError(f"the command log has a message without records: {error}") from error
