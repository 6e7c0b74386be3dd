"""What was handed over for sending and is not confirmed yet."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

__all__ = ["OutboxEntry", "OutboxKind"]

OutboxKind: TypeAlias = Literal["place", "cancel", "cancel_all"]


class OutboxEntry(msgspec.Struct, kw_only=True):
    """One unconfirmed message.

    Attributes:
        kind: what it asks for.
        payload: the message as JSON.
        created_ns: when it was handed over, in unix nanoseconds.
        client_order_id: of the order that it places or cancels, ``None`` where it has none.
        sequence: the sequence that it was sent with, ``None`` until it was.
        deadline_ns: until when it may be sent, in unix nanoseconds; ``None`` for without end.
        resend: whether it may be sent once more where the exchange has not received it.
        key: the store's number for it: set by ``put()``, never given twice, the same after a restart.
    """

    kind: OutboxKind
    payload: bytes
    created_ns: int
    client_order_id: int | None = None
    sequence: int | None = None
    deadline_ns: int | None = None
    resend: bool = False
    key: int | None = None
