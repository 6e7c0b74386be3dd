"""The client's balances, kept by events alone and compared with the exchange's own."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any, Final

import msgspec

from ...messages import Balance, OwnTrade, SetBalance, UserBalanceResponse
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

    __slots__ = ("available", "compared", "on_hold")

    def __init__(self) -> None:
        self.available: Decimal | None = None
        self.on_hold = _ZERO
        self.compared = False


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
        self._funds: dict[str, _Funds] = {}

    def get(self, currency: str) -> Balance:
        """The balance of *currency*; zero where nothing is known of it."""
        funds = self._funds.get(currency)
        return Balance(_ZERO, _ZERO) if funds is None else _shown(funds)

    def all(self) -> dict[str, Balance]:
        """The balance of every currency that is known."""
        return {currency: _shown(funds) for currency, funds in self._funds.items() if funds.available is not None}

    def handlers(self) -> dict[type[Any], Callable[[Any, int, int], None]]:
        """Who takes in what; an :class:`~cryptoproto.client.account.Account` sees to it that each event comes once."""
        return {SetBalance: self._on_set_balance}

    def _on_set_balance(self, message: SetBalance, _transaction_id: int, _now_ns: int) -> None:
        funds = self._funds.get(message.currency)
        if funds is None:
            funds = self._funds[message.currency] = _Funds()
        funds.available = message.balance
        if message.reason == "on_hold":
            funds.on_hold = _subtract(funds.on_hold, message.change)

    def on_trade(self, trade: OwnTrade) -> None:
        """A fill pays out of the hold."""
        base, _, quote = trade.trade_pair.partition("_")
        currency, paid = base, trade.amount
        if trade.maker == trade.maker_buy:  # the client was the buyer
            currency, paid = quote, _down_to(_multiply(trade.price, paid), _STEP)
        funds = self._funds.get(currency)
        if funds is None:
            funds = self._funds[currency] = _Funds()
        funds.on_hold = _subtract(funds.on_hold, paid)

    def adopt(self, response: UserBalanceResponse) -> list[BalanceDifference]:
        """Compare with the balances that the exchange states, report what differs, and take them over.

        What could not be known is no difference: a currency of which no event has told, and what is on hold where it
        was not stated before.

        Args:
            response: the balances. All events that came before it must have been taken in, and none that came behind.
        """
        differences: list[BalanceDifference] = []
        for currency, there in response.balances.items():
            funds = self._funds.setdefault(currency, _Funds())
            known = funds.available is not None
            if (known and funds.available != there.available) or (funds.compared and funds.on_hold != there.on_hold):
                differences.append(BalanceDifference(currency, _shown(funds), there))
            funds.available, funds.on_hold, funds.compared = there.available, there.on_hold, True
        return differences


def _shown(funds: _Funds) -> Balance:
    # Below zero is only what lacks the holds from before a restart.
    return Balance(_ZERO if funds.available is None else funds.available, EXACT.max(funds.on_hold, _ZERO))
