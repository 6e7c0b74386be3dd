"""The client's balances, updated by events and compared with the exchange's."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import msgspec

from ...history import paid
from ...messages import EXACT, AsDict, Balance, OwnTrade, SetBalance, UserBalanceResponse

__all__ = ["BalanceDifference", "BalanceTable"]

_ZERO: Final = Decimal(0)
_subtract: Final = EXACT.subtract


class BalanceDifference(AsDict, msgspec.Struct, frozen=True):
    """A difference between the exchange's statement of a balance and the events; it has been corrected."""

    currency: str
    here: Balance
    there: Balance


class _Funds:
    """One currency. *available* is ``None`` until it is known; *compared* says whether *on_hold* was ever stated."""

    __slots__ = ("available", "compared", "on_hold")

    def __init__(self) -> None:
        self.available: Decimal | None = None
        self.on_hold = _ZERO
        self.compared = False


class BalanceTable:
    """What is available, and what is on hold, by currency.

    **Available** is the value of the last ``SetBalance``. No event contains the balances that an account was opened
    with, so a currency that was never used is not known before :meth:`adopt`.

    **On hold** is in no event; it is computed. A hold is taken and released by a ``SetBalance`` with the reason
    ``on_hold``, which changes the hold by the opposite amount. A fill is paid out of the hold: the amount of the
    ``OwnTrade`` for a seller, and price × amount, rounded down to eight decimals, for a buyer (rules of the exchange,
    "Numbers"). The result is exact if every event since the account was opened, or since :meth:`adopt`, was applied,
    and the exchange rounds this way. Otherwise, as after a restart, earlier holds are missing from it.

    Attributes:
        comparisons: how often :meth:`adopt` was called.
    """

    def __init__(self) -> None:
        self.comparisons: int = 0
        self._funds: dict[str, _Funds] = {}

    def get(self, currency: str) -> Balance:
        """The balance of *currency*; zero if it is not known."""
        funds = self._funds.get(currency)
        return Balance(_ZERO, _ZERO) if funds is None else _shown(funds)

    def all(self) -> dict[str, Balance]:
        """The balances of all known currencies."""
        return {currency: _shown(funds) for currency, funds in self._funds.items() if funds.available is not None}

    def handlers(self) -> dict[type[Any], Callable[[Any, int, int], None]]:
        """The handler of each message; an :class:`~cryptoproto.client.account.Account` passes each event on once."""
        return {SetBalance: self._on_set_balance}

    def _on_set_balance(self, message: SetBalance, _transaction_id: int, _now_ns: int) -> None:
        funds = self._funds.get(message.currency)
        if funds is None:
            funds = self._funds[message.currency] = _Funds()
        funds.available = message.balance
        if message.reason == "on_hold":
            funds.on_hold = _subtract(funds.on_hold, message.change)

    def on_trade(self, trade: OwnTrade) -> None:
        """A fill, which is paid out of the hold."""
        currency, amount = paid(trade)
        funds = self._funds.get(currency)
        if funds is None:
            funds = self._funds[currency] = _Funds()
        funds.on_hold = _subtract(funds.on_hold, amount)

    def adopt(self, response: UserBalanceResponse) -> list[BalanceDifference]:
        """Compare with the exchange's balances, return the differences, and adopt them.

        What could not be known is not a difference: a currency that was in no event, and the amount on hold if it was
        never stated before.

        Args:
            response: the balances. All events before it must have been applied, and none after it.
        """
        differences: list[BalanceDifference] = []
        self.comparisons += 1
        for currency, there in response.balances.items():
            funds = self._funds.setdefault(currency, _Funds())
            known = funds.available is not None
            if (known and funds.available != there.available) or (funds.compared and funds.on_hold != there.on_hold):
                differences.append(BalanceDifference(currency, _shown(funds), there))
            funds.available, funds.on_hold, funds.compared = there.available, there.on_hold, True
        return differences


def _shown(funds: _Funds) -> Balance:
    # It is negative only if holds from before a restart are missing.
    return Balance(_ZERO if funds.available is None else funds.available, EXACT.max(funds.on_hold, _ZERO))
