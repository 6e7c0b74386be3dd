"""The client's balances, kept by events alone and compared with the exchange's own."""

from __future__ import annotations

from decimal import ROUND_FLOOR, Context, Decimal
from typing import Final

import msgspec

from ..messages import Balance, Message, OwnTrade, SetBalance, Unknown, UserBalanceResponse
from .order import EXACT

__all__ = ["BalanceDifference", "BalanceTable"]

_ZERO: Final = Decimal(0)
_STEP: Final = Decimal("0.00000001")
_subtract: Final = EXACT.subtract
_multiply: Final = EXACT.multiply
_down_to: Final = Context(prec=200, rounding=ROUND_FLOOR, traps=[]).quantize


class BalanceDifference(msgspec.Struct, frozen=True):
    """A balance that the exchange states otherwise than the events did; it has been corrected."""

    currency: str
    here: Balance
    there: Balance


class _Funds:
    """One currency; *available* is ``None`` until it is told, *compared* says whether *on_hold* was ever stated."""

    __slots__ = ("available", "changed_by", "compared", "on_hold")

    def __init__(self) -> None:
        self.available: Decimal | None = None
        self.on_hold = _ZERO
        self.compared = False
        self.changed_by = -1


class BalanceTable:
    """What is available, and what is on hold, by currency.

    **Available** is what the last ``SetBalance`` says. No event tells of the balances that an account was opened with,
    so a currency that was never touched is not known before :meth:`adopt`.

    **On hold** is in no event; it is worked out. Taking and releasing a hold is a ``SetBalance`` with the reason
    ``on_hold``, whose change is the opposite of that of the hold; what a fill pays out of the hold is the amount of
    the ``OwnTrade`` for a seller, and price × amount rounded down to eight decimals for a buyer (rules of the exchange,
    "Numbers"). That is exact where every event since the account was opened, or since :meth:`adopt`, was applied, at
    an exchange that rounds this way. Without either, as after a restart, it lacks what was on hold before.
    """

    def __init__(self) -> None:
        self._position = -1
        self._funds: dict[str, _Funds] = {}

    @property
    def position(self) -> int:
        """The transaction id of the last event that was applied, -1 before the first."""
        return self._position

    def get(self, currency: str) -> Balance:
        """The balance of *currency*; zero where nothing is known of it."""
        funds = self._funds.get(currency)
        return Balance(_ZERO, _ZERO) if funds is None else _shown(funds)

    def all(self) -> dict[str, Balance]:
        """The balance of every currency that is known."""
        return {currency: _shown(funds) for currency, funds in self._funds.items() if funds.available is not None}

    def apply(self, transaction_id: int, message: Message | Unknown) -> str | None:
        """Take an event in, in order of transaction id; returns the currency whose balance it changed.

        One with a transaction id that is not higher than the last is ignored, so replays do no harm.
        """
        if transaction_id <= self._position:
            return None
        self._position = transaction_id
        if isinstance(message, SetBalance):
            funds = self._of(message.currency, transaction_id)
            funds.available = message.balance
            if message.reason == "on_hold":
                funds.on_hold = _subtract(funds.on_hold, message.change)
            return message.currency
        if isinstance(message, OwnTrade):
            base, _, quote = message.trade_pair.partition("_")
            currency, paid = base, message.amount
            if message.bought:
                currency, paid = quote, _down_to(_multiply(message.price, paid), _STEP)
            funds = self._of(currency, transaction_id)
            funds.on_hold = _subtract(funds.on_hold, paid)
            return currency
        return None

    def adopt(self, response: UserBalanceResponse, *, as_of: int | None = None) -> list[BalanceDifference]:
        """Compare with the balances that the exchange states, report what differs, and take them over.

        What could not be known is no difference: a currency of which no event has told, and what is on hold where it
        was not stated before.

        Args:
            response: the balances. All events that came before it must have been applied.
            as_of: :attr:`position` when the response was asked for. Currencies that later events tell of are left
                alone, because the response may be older than they are; ``None`` where there can be no such events.
        """
        differences: list[BalanceDifference] = []
        for currency, there in response.balances.items():
            funds = self._funds.setdefault(currency, _Funds())
            if as_of is not None and funds.changed_by > as_of:
                continue
            known = funds.available is not None
            if (known and funds.available != there.available) or (funds.compared and funds.on_hold != there.on_hold):
                differences.append(BalanceDifference(currency, _shown(funds), there))
            funds.available, funds.on_hold, funds.compared = there.available, there.on_hold, True
        return differences

    def _of(self, currency: str, transaction_id: int) -> _Funds:
        funds = self._funds.get(currency)
        if funds is None:
            funds = self._funds[currency] = _Funds()
        funds.changed_by = transaction_id
        return funds


def _shown(funds: _Funds) -> Balance:
    # Below zero is only what lacks the holds from before a restart.
    return Balance(_ZERO if funds.available is None else funds.available, EXACT.max(funds.on_hold, _ZERO))
