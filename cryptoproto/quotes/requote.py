"""One way from the open quotes to the wanted ones: plans, sends what can be sent, and plans again after each answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any, Final, TypeAlias

from ..client import Order, State, TradingClient
from ..exceptions import ClientClosed, CryptoprotoError, OutcomeUnknown, RequestNotSent
from ..instruments import Instrument
from ..instruments.grid import EXACT
from ..messages import Side
from .inventory import Inventory
from .levels import Granularity, Ladder, QuoteLevel, Wanted
from .open_quotes import OpenQuotes, Placement
from .outcome import Progress, QuoteUpdate
from .plan import OpenQuote, Plan, limited, make_plan

__all__ = ["Requote"]

_IN_FLIGHT: Final = 8
"""How many messages wait for their answers at a time. What follows is decided when they have come, so that newer wanted
levels count at once even if the exchange throttles."""

_ZERO: Final = Decimal(0)
_Step: TypeAlias = Order | tuple[Side, Decimal]
"""An order to cancel, or a level to place."""


class Requote:
    """Brings the open quotes to the wanted levels, with each level placed and each order cancelled once at most.

    An order that is filled at once is therefore not placed again and again.

    Args:
        client: sends.
        trade_pair: the pair that is quoted.
        quotes: what may be open.
        inventory: how much the limits allow.
        tolerance: how much may be missing at a price.
        timeout: seconds for each message.
        on_answer: called after each answer.

    Attributes:
        newest_order_id: the highest id of an order that was placed; 0 before the first.
    """

    def __init__(
        self,
        client: TradingClient,
        trade_pair: str,
        quotes: OpenQuotes,
        inventory: Inventory,
        tolerance: Decimal,
        timeout: float,
        on_answer: Callable[[], None],
    ) -> None:
        self.newest_order_id: int = 0
        self._client = client
        self._pair = trade_pair
        self._quotes = quotes
        self._inventory = inventory
        self._tolerance = tolerance
        self._timeout = timeout
        self._on_answer = on_answer
        self._wanted, self._granularity = Wanted.nothing(), Granularity(Instrument(trade_pair))
        self._limited: dict[Side, Ladder] = {side: {} for side in Side}
        self._tried: set[_Step] = set()
        self._refused: set[_Step] = set()
        self._reported: set[int] = set()
        self._progress = Progress()
        self._tasks: set[asyncio.Task[None]] = set()
        self._fault: BaseException | None = None

    @property
    def is_busy(self) -> bool:
        """Whether messages wait for their answers."""
        return bool(self._tasks)

    def want(self, wanted: Wanted, instrument: Instrument) -> None:
        """Go for *wanted* from here on, by the rules of *instrument*."""
        self._wanted = wanted
        self._granularity = Granularity(instrument, self._tolerance)
        self._tried.clear()
        self._refused.clear()

    def retry(self) -> None:
        """Try again what has failed, unless the exchange has refused it."""
        self._tried = set(self._refused)

    def advance(self) -> None:
        """Send what can be sent now.

        Raises:
            Exception: a fault in a client; not an error that a message can end with.
        """
        if self._fault is not None:
            raise self._fault
        plan = self._plan()
        for order in _orders(plan.cancel):
            if self._may_try(order):
                self._quotes.begin_cancel(order)
                self._start(self._cancel(order))
        for level in plan.place:
            if self._may_try((level.side, level.price)):
                self._start(self._place(self._quotes.begin(level)))

    def finish(self) -> QuoteUpdate:
        """What was done since the last call; nothing may wait for an answer."""
        plan = self._plan()
        for order in _orders(plan.cancel):
            if order not in self._tried:
                self._progress.not_cancelled(order, self._not_sent())
        for level in (*plan.place, *plan.waiting):
            if (level.side, level.price) not in self._tried:
                self._progress.not_placed(level, None, self._not_sent())
        for placement in self._quotes.unanswered():
            if placement.client_order_id not in self._reported:
                error = OutcomeUnknown("it may be open: an earlier update has placed it, and no answer has come")
                self._progress.not_placed(placement.level, self._quotes.order_of(placement), error)
        for level, refusal in self._wanted.refused:
            self._progress.not_placed(level, None, refusal)
        progress, self._progress = self._progress, Progress()
        self._reported.clear()
        return progress.result(_orders(plan.keep), self._cut())

    async def stop(self) -> None:
        """End the calls that wait. The client reports what becomes of their messages."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _plan(self) -> Plan:
        rooms = self._inventory.rooms(self._client.orders)
        self._limited = {side: limited(self._wanted.sides[side], rooms[side], self._granularity) for side in Side}
        return make_plan(self._limited, self._quotes.view(), self._granularity)

    def _cut(self) -> list[QuoteLevel]:
        return [
            QuoteLevel(side, price, cut)
            for side in Side
            for price, amount in self._wanted.sides[side].items()
            if (cut := EXACT.subtract(amount, self._limited[side].get(price, _ZERO)))
        ]

    def _not_sent(self) -> RequestNotSent:
        state = self._client.state
        if state.state is not State.LIVE:
            return RequestNotSent(f"not connected: {state.reason}")
        return RequestNotSent("an order that is in its way may still be open")

    def _may_try(self, step: _Step) -> bool:
        """Whether *step* may be sent now; if so, it counts as tried."""
        if step in self._tried or len(self._tasks) >= _IN_FLIGHT:
            return False
        self._tried.add(step)
        return True

    def _start(self, sending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(sending)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._fault = task.exception()
        self._on_answer()

    async def _place(self, placement: Placement) -> None:
        level = placement.level
        try:
            order = await self._client.place(
                self._pair,
                level.side,
                amount=level.amount,
                price=level.price,
                client_order_id=placement.client_order_id,
                timeout=self._timeout,
                wait=False,
            )
        except CryptoprotoError as error:
            self._progress.not_placed(level, self._quotes.order_of(placement), error)
            self._note_refusal((level.side, level.price), error)
            self._reported.add(placement.client_order_id)
        else:
            self.newest_order_id = max(self.newest_order_id, order.order_id or 0)
            self._progress.placed(order)
        finally:
            self._quotes.end(placement)

    async def _cancel(self, order: Order) -> None:
        is_known = False
        try:
            cancelled = await self._client.cancel(order, timeout=self._timeout, wait=False)
        except CryptoprotoError as error:
            is_known = not isinstance(error, OutcomeUnknown)
            self._progress.not_cancelled(order, error)
            self._note_refusal(order, error)
        else:
            is_known = True
            if cancelled:
                self._progress.cancelled(order)
        finally:
            self._quotes.end_cancel(order, is_known=is_known)

    def _note_refusal(self, step: _Step, error: CryptoprotoError) -> None:
        """Remember what a repair cannot change."""
        may_work_later = isinstance(error, RequestNotSent | OutcomeUnknown) and not isinstance(error, ClientClosed)
        if not may_work_later:
            self._refused.add(step)


def _orders(quotes: list[OpenQuote]) -> list[Order]:
    """The orders of planned quotes; only those without an answer have none."""
    return [quote.key for quote in quotes if isinstance(quote.key, Order)]
