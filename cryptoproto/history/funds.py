"""Balances over time: from what there was when the history began, event by event."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from ..messages import EXACT, OwnTrade, SetBalance
from .holds import paid
from .reader import Entry, Reader, StatedBalance
from .records import BalanceRecord
from .time_range import FOREVER, from_microseconds

__all__ = ["balance_records"]

_ZERO: Final = Decimal(0)
_add: Final = EXACT.add
_subtract: Final = EXACT.subtract


class _Funds:
    """One currency."""

    __slots__ = ("available", "on_hold")

    def __init__(self, available: Decimal, on_hold: Decimal) -> None:
        self.available = available
        self.on_hold = on_hold


def balance_records(
    reader: Reader, currency: str | None, since_us: int = -FOREVER, until_us: int = FOREVER
) -> Iterator[BalanceRecord]:
    """The balances when the range began, and every change in it; of one currency, or of all."""
    reader.refresh()
    stated = reader.stated_balances()
    after, begun_us = reader.beginning()
    first = None if since_us == -FOREVER else reader.first_since(since_us)
    earlier = [one for one in stated if first is not None and one.transaction_id < first]
    if earlier:  # everything that happened before the range is in it
        after, begun_us = earlier[-1].transaction_id, earlier[-1].stated_us
        funds = {one.currency: _funds(one) for one in earlier if one.transaction_id == after}
        stated = stated[len(earlier) :]
    else:
        funds = _opening(reader, stated)
    for record in _Walk(funds, after, begun_us).records(reader, stated, since_us, until_us):
        if currency in (None, record.currency):
            yield record


def _opening(reader: Reader, stated: list[StatedBalance]) -> dict[str, _Funds]:
    """What there was when the history began: what was stated first, less what had changed by then.

    A currency that no statement has is known from its first event.
    """
    first = stated[0].transaction_id if stated else FOREVER
    available: dict[str, Decimal] = {}
    held: dict[str, Decimal] = {}
    for entry in reader.entries():
        if entry.transaction_id > first:
            break
        message = entry.message
        if isinstance(message, SetBalance):
            available.setdefault(message.currency, _subtract(message.balance, message.change))
            if message.reason == "on_hold":
                held[message.currency] = _subtract(held.get(message.currency, _ZERO), message.change)
        elif isinstance(message, OwnTrade):
            currency, amount = paid(message)
            held[currency] = _subtract(held.get(currency, _ZERO), amount)
    funds = {currency: _Funds(amount, _ZERO) for currency, amount in available.items()}
    for one in stated:
        if one.transaction_id == first:
            opening = funds.setdefault(one.currency, _funds(one))
            opening.on_hold = _subtract(Decimal(one.on_hold), held.get(one.currency, _ZERO))
    return funds


def _funds(stated: StatedBalance) -> _Funds:
    return _Funds(Decimal(stated.available), Decimal(stated.on_hold))


class _Walk:
    """The balances while events and statements are read."""

    def __init__(self, funds: dict[str, _Funds], after: int, begun_us: int) -> None:
        self._funds = funds
        self._after = after
        self._begun_us = begun_us

    def records(
        self, reader: Reader, stated: list[StatedBalance], since_us: int, until_us: int
    ) -> Iterator[BalanceRecord]:
        is_opened = False
        for each in _merged(reader.entries(self._after), stated):
            time_us = each.time_us if isinstance(each, Entry) else each.stated_us
            if not is_opened and time_us >= since_us:
                is_opened = True
                yield from self._opened(since_us, time_us)
            changed = self._apply(each) if isinstance(each, Entry) else self._adopt(each)
            self._after = each.transaction_id
            if changed is not None and since_us <= time_us < until_us:
                yield changed
        if not is_opened:
            yield from self._opened(since_us, self._begun_us)

    def _opened(self, since_us: int, first_us: int) -> Iterator[BalanceRecord]:
        time_us = min(self._begun_us, first_us) if since_us == -FOREVER else since_us
        for currency in sorted(self._funds):
            yield self._record(currency, self._after, time_us, _ZERO, "opening")

    def _apply(self, entry: Entry) -> BalanceRecord | None:
        message = entry.message
        if isinstance(message, SetBalance):
            currency, change, reason = message.currency, message.change, message.reason
            funds = self._of(currency)
            funds.available = message.balance
            if reason == "on_hold":
                funds.on_hold = _subtract(funds.on_hold, change)
        elif isinstance(message, OwnTrade):
            (currency, amount), change, reason = paid(message), _ZERO, "trade"
            funds = self._of(currency)
            funds.on_hold = _subtract(funds.on_hold, amount)
        else:
            return None
        return self._record(currency, entry.transaction_id, entry.time_us, change, reason)

    def _adopt(self, stated: StatedBalance) -> BalanceRecord | None:
        here, there = self._of(stated.currency), _funds(stated)
        if (here.available, here.on_hold) == (there.available, there.on_hold):
            return None
        self._funds[stated.currency] = there
        change = _subtract(there.available, here.available)
        return self._record(stated.currency, stated.transaction_id, stated.stated_us, change, "stated")

    def _of(self, currency: str) -> _Funds:
        return self._funds.setdefault(currency, _Funds(_ZERO, _ZERO))

    def _record(self, currency: str, transaction_id: int, time_us: int, change: Decimal, reason: str) -> BalanceRecord:
        funds = self._funds[currency]
        return BalanceRecord(
            transaction_id=transaction_id,
            time=from_microseconds(time_us),
            currency=currency,
            available=funds.available,
            on_hold=funds.on_hold,
            change=change,
            reason=reason,
        )


def _merged(entries: Iterable[Entry], stated: Iterable[StatedBalance]) -> Iterator[Entry | StatedBalance]:
    """Events and statements in order; a statement comes after the event that it names."""
    waiting = iter(stated)
    statement = next(waiting, None)
    for entry in entries:
        while statement is not None and statement.transaction_id < entry.transaction_id:
            yield statement
            statement = next(waiting, None)
        yield entry
    if statement is not None:
        yield statement
        yield from waiting
