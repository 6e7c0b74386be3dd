"""Messages about balances, deposits and withdrawals."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from .base import Message, Time, moment
from .plain_values import AsDict

__all__ = [
    "DepositTransactionAccepted",
    "SetBalance",
    "TransactionInfo",
    "WithdrawalTransactionAccepted",
]


class SetBalance(Message, frozen=True, gc=False):
    """The available balance of *currency* is now *balance*, *change* more than before.

    *reason* is ``"trade"``, ``"on_hold"`` (an order reserved or released funds), ``"transfer"`` or ``"withdraw"``.
    """

    currency: str
    balance: Decimal
    change: Decimal
    reason: str
    time: Time

    @property
    def at(self) -> datetime:
        """When it happened, exact to the microsecond, in UTC."""
        return moment(self.time)


class TransactionInfo(AsDict, msgspec.Struct, frozen=True, gc=False):
    """Where on a blockchain a transfer can be found."""

    to_address: str
    blockchain_tx_ids: list[str] = []


class _Transfer(Message, frozen=True, gc=False):
    currency: str
    amount: Decimal
    transaction_info: TransactionInfo
    time: Time

    @property
    def at(self) -> datetime:
        """When it happened, exact to the microsecond, in UTC."""
        return moment(self.time)


class DepositTransactionAccepted(_Transfer, frozen=True, gc=False):
    """A deposit arrived; the balance follows in :class:`SetBalance`."""


class WithdrawalTransactionAccepted(_Transfer, frozen=True, gc=False):
    """A withdrawal was sent; the balance follows in :class:`SetBalance`."""
