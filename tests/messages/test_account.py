"""Messages about balances, deposits and withdrawals."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from cryptoproto.messages import DepositTransactionAccepted, SetBalance, TransactionInfo, WithdrawalTransactionAccepted

NOON = datetime(2023, 11, 14, 12, 0, 0, 5, tzinfo=UTC)
TIME = (int(NOON.timestamp()), 5)


def test_a_balance_says_when_it_changed() -> None:
    assert SetBalance("USD", Decimal(1), Decimal(-1), "trade", TIME).at == NOON


def test_a_transfer_says_when_it_happened_and_where_to_find_it() -> None:
    info = TransactionInfo("bc1q000")
    for kind in (DepositTransactionAccepted, WithdrawalTransactionAccepted):
        transfer = kind("BTC", Decimal("0.1"), info, TIME)
        assert transfer.at == NOON
        assert transfer.payload["transaction_info"] == {"to_address": "bc1q000", "blockchain_tx_ids": []}
