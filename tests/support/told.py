"""Events without an exchange."""

from __future__ import annotations

import cryptoproto as cp
from cryptoproto.client.account.account import Account
from cryptoproto.messages import Message, Unknown

__all__ = ["feed", "told"]


def told(transaction_id: int | None, message: Message | Unknown, received_ns: int = 5) -> cp.Event:
    """The event that tells *message*."""
    return cp.Event(transaction_id, None if transaction_id is None else 0.0, message, received_ns, b"")


def feed(account: Account, *messages: Message | Unknown, after: int | None = None) -> None:
    """Tell an account of *messages*, with the transaction ids that follow *after*, or its position."""
    first = (account.position if after is None else after) + 1
    account.apply([told(number, message) for number, message in enumerate(messages, first)])
