"""Two-sided quotes: give the wanted levels, and the fewest messages bring the open orders there."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from decimal import Decimal
from types import TracebackType
from typing import Final, Self

from ..arguments import check_seconds
from ..client import Order, State, StateChange, TradingClient
from ..exceptions import ClientClosed, ConfigurationError, CryptoprotoError
from ..instruments import Instrument, split_pair
from ..instruments.grid import EXACT
from ..market_data import OrderBook
from ..messages import AmountLike, Side
from .inventory import Inventory, read_amount, read_limits
from .levels import Wanted, read_levels
from .open_quotes import OpenQuotes
from .others import middle_of_others
from .outcome import QuoteUpdate
from .ownership import Ownership
from .requote import Requote

__all__ = ["Quotes"]

logger: logging.Logger = logging.getLogger("cryptoproto.quotes")

_BALANCE_RETRY_S: Final = 1.0
_BOOK_DELAY_S: Final = 1.0
"""By how much the market data may lag behind the events of the account."""


class Quotes:
    """Keeps the wanted bids and asks of one pair in the book, with the fewest messages.

    ::

        async with cp.Quotes(client, "BTC_USD", max_long="0.5", max_short="0.5", flat_at="10") as quotes:
            update = await quotes.update(bids=[("14995", "0.1")], asks=[("15005", "0.1")])

    Orders that are wanted as they are stay. What may be open at a price, and on a side, never grows beyond what is
    wanted there, whatever becomes of a message: what would exceed it, or meet an own order, waits until the order in
    its way is gone. When the client is LIVE again after a lost connection, the wanted levels are repaired; levels that
    the exchange has refused wait for the next update. Apart from this, nothing is sent between updates.

    Every open order of the pair belongs to the quotes, also those of an earlier process; with *tag*, only orders that
    were placed with the same tag. ``async with`` cancels them at the end.

    Args:
        client: a :class:`~cryptoproto.Client`.
        trade_pair: ``"BTC_USD"``.
        instrument: rounds prices passively (a bid down, an ask up) and amounts down. By default, the client's rules for
            the pair; if it has none, eight decimals.
        max_long: the largest position, in the base currency; ``None`` = no limit. Bids that would exceed it if all
            were filled are cut, the worst first.
        max_short: the largest negative position, as a positive number; the same for asks.
        flat_at: the whole balance of the base currency at which the position is zero; by default the balance when the
            quotes are started. Pass it if the limits are to hold across restarts.
        tolerance: how much of a level may be missing before it is made up.
        refill: whether an update makes up the fills of an order that is partially filled. Otherwise the order stands
            for its whole amount until it is closed.
        tag: 1 to 1,000, if several quotes or other orders share the pair and the account.
        max_age: after an interruption, levels that were set more seconds ago are cancelled and not repaired.
        cancel_on_exit: whether ``async with`` and :meth:`close` cancel the orders.
        timeout: seconds for each message; see :meth:`Client.place() <cryptoproto.Client.place>`.

    Raises:
        ConfigurationError: an argument cannot be used.
    """

    def __init__(
        self,
        client: TradingClient,
        trade_pair: str,
        *,
        instrument: Instrument | None = None,
        max_long: AmountLike | None = None,
        max_short: AmountLike | None = None,
        flat_at: AmountLike | None = None,
        tolerance: AmountLike = 0,
        refill: bool = True,
        tag: int | None = None,
        max_age: float | None = None,
        cancel_on_exit: bool = True,
        timeout: float = 10.0,
    ) -> None:
        check_seconds("timeout", timeout)
        if max_age is not None:
            check_seconds("max_age", max_age)
        self._base, _ = split_pair(trade_pair)
        self._pair = trade_pair
        self._client = client
        self._instrument = instrument
        if instrument is not None and instrument.trade_pair != trade_pair:
            raise ConfigurationError(f"the quotes are for {trade_pair}, and the instrument is {instrument}")
        self._max_age = max_age
        self._cancel_on_exit = cancel_on_exit
        self._inventory = Inventory(trade_pair, read_limits(max_long, max_short, flat_at))
        self._open = OpenQuotes(client, Ownership(trade_pair, tag), refill=refill)
        self._wake = asyncio.Event()
        self._requote = Requote(
            client,
            trade_pair,
            self._open,
            self._inventory,
            read_amount("tolerance", tolerance),
            timeout,
            self._wake.set,
        )
        self._set_at: float | None = None  # when the wanted levels were set
        self._is_due = False  # whether something has to be done, or checked
        self._is_ready = False  # whether the client is LIVE and the position is known
        self._started = asyncio.Event()  # the first state of the client was dealt with
        self._resumed = asyncio.Event()
        self._callers: list[asyncio.Future[QuoteUpdate]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._fault: Exception | None = None
        self._is_closed = False

    # Start and end

    async def start(self) -> None:
        """Start; what ``async with`` does. Returns when the position is known, or at once if the client is not LIVE.

        Sends no orders and cancels none. Idempotent.

        Raises:
            ConfigurationError: the quotes were closed.
        """
        if self._is_closed:
            raise ConfigurationError("these quotes are closed; create new ones")
        if not self._tasks:
            self._tasks = [asyncio.ensure_future(self._follow_states()), asyncio.ensure_future(self._work())]
            for task in self._tasks:
                task.add_done_callback(self._on_task_done)
        await self._started.wait()
        if self._fault is not None:
            raise self._fault

    async def close(self, timeout: float = 10.0) -> QuoteUpdate:
        """Cancel all quotes, waiting for a connection if there is none, and stop. Idempotent.

        Returns what was done; what could not be cancelled within *timeout* seconds is in ``failed``, and is logged.
        With ``cancel_on_exit=False`` nothing is cancelled; an update that is under way is finished.
        """
        update = QuoteUpdate()
        if self._is_closed:
            return update
        try:
            async with asyncio.timeout(timeout):
                if self._callers and not self._cancel_on_exit:
                    await asyncio.wait(self._callers)
                while self._cancel_on_exit and self._fault is None and self._client.state.state is not State.CLOSED:
                    self._resumed.clear()
                    update = await self.cancel()
                    if update.is_complete:
                        break
                    await self._resumed.wait()
        except (TimeoutError, ClientClosed):
            pass
        except ConfigurationError:
            if not self._is_closed:  # by another call of close()
                raise
        finally:
            self._is_closed = True
            await self._stop()
        left = self._open.orders()
        if left and self._cancel_on_exit:
            logger.warning("%d quotes could not be cancelled and may still be open: %s", len(left), left)
        return update

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._requote.stop()
        self._answer(ConfigurationError("the quotes were closed"))

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:  # the end of the block, which would stop it, is not reached
            self._is_closed = True
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # Quoting

    async def update(
        self,
        bids: Iterable[tuple[AmountLike, AmountLike]] = (),
        asks: Iterable[tuple[AmountLike, AmountLike]] = (),
    ) -> QuoteUpdate:
        """Quote these levels, each a pair of price and amount, in place of all earlier ones.

        Returns when every message is answered. A call during another one replaces its levels: what was not sent yet is
        not sent any more, and both return the same result. Without a connection it returns at once, with everything
        in ``failed``; the levels are repaired when the client is LIVE. Cancelling ends only the wait.

        Raises:
            OrderInvalid: a level is not a pair of decimal numbers greater than zero, or a bid is as high as an ask.
                The quotes stay as they are.
            ClientClosed: the client is closed for good.
        """
        instrument = self._instrument or self._client.instruments.get(self._pair) or Instrument(self._pair)
        wanted = read_levels(bids, asks, instrument)
        await self.start()
        if self._client.state.state is State.CLOSED:
            raise self._client_closed()
        self._want(wanted, instrument)
        caller: asyncio.Future[QuoteUpdate] = asyncio.get_running_loop().create_future()
        self._callers.append(caller)
        return await caller

    async def cancel(self) -> QuoteUpdate:
        """Cancel all quotes; as :meth:`update` without levels."""
        return await self.update()

    @property
    def orders(self) -> list[Order]:
        """The open orders of the quotes, bids before asks, lowest price first."""
        return sorted(self._open.orders(), key=lambda order: (order.side is Side.SELL, order.price))

    @property
    def position(self) -> Decimal | None:
        """The position in the base currency; ``None`` until the client has been LIVE.

        Fills count at once, deposits and withdrawals from the next reconnect on.
        """
        position = self._inventory.position(self._client.orders)
        return Decimal(0) if position == 0 else position  # without an exponent: not 0E-8

    def middle(self, book: OrderBook) -> Decimal | None:
        """The price halfway between the best bid and ask of others in *book*: what to quote around.

        ``None`` if others leave a side empty, or if the book is stale or from before the newest quote. A level counts
        as that of others if its volume exceeds all own orders that were open there when the book arrived, or up to
        a second before. So a bot that quotes around the middle does not follow its own quotes.
        """
        if book.is_stale:
            return None
        own = self._open.since(time.time_ns() - int((book.age + _BOOK_DELAY_S) * 1e9))
        newest = max((order.order_id or 0 for order in own), default=0)
        return middle_of_others(book, own, max(newest, self._requote.newest_order_id))

    def __repr__(self) -> str:
        orders = self._open.orders()
        bids = sum(order.side is Side.BUY for order in orders)
        return f"<Quotes {self._pair}: {bids} bids and {len(orders) - bids} asks open, position {self.position}>"

    def _want(self, wanted: Wanted, instrument: Instrument) -> None:
        self._set_at = asyncio.get_running_loop().time()
        self._requote.want(wanted, instrument)
        self._is_due = True
        self._wake.set()

    # Work

    async def _work(self) -> None:
        """Requote whenever that is due."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._is_due:
                self._step()

    def _step(self) -> None:
        state = self._client.state.state
        if state is State.LIVE:
            if not self._is_ready:
                return  # until the states are followed to here
            self._requote.advance()
        if self._requote.is_busy:
            return
        self._is_due = False
        update = self._requote.finish()
        if state is State.CLOSED:
            self._answer(self._client_closed())
        elif self._callers:
            self._answer(update)
        else:
            logger.log(logging.INFO if update.is_complete else logging.WARNING, "quotes repaired: %s", update)

    def _answer(self, answer: QuoteUpdate | Exception) -> None:
        callers, self._callers = self._callers, []
        for caller in callers:
            if caller.done():
                continue
            if isinstance(answer, Exception):
                caller.set_exception(answer)
            else:
                caller.set_result(answer)

    def _client_closed(self) -> ClientClosed:
        error = ClientClosed(f"the client is closed: {self._client.state.reason}; create a new one, and new quotes")
        error.__cause__ = self._client.state.error
        return error

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        """A fault in a client ends the work; whoever calls gets it."""
        fault = None if task.cancelled() else task.exception()
        if isinstance(fault, Exception):
            self._fault = fault
            self._started.set()
            self._answer(fault)

    # The client

    async def _follow_states(self) -> None:
        states = self._client.states()
        try:
            async for change in states:
                self._is_ready = False
                if change.state is State.LIVE:
                    await self._resume(change)
                self._started.set()
                self._wake.set()
        finally:
            states.close()

    async def _resume(self, change: StateChange) -> None:
        """The client is LIVE: learn the position, and repair the quotes."""
        self._open.settle(change)
        while not await self._compare_balance():
            if self._client.state is not change:
                return
            await asyncio.sleep(_BALANCE_RETRY_S)
        self._is_ready = True
        if self._set_at is not None:
            if self._max_age is not None and asyncio.get_running_loop().time() - self._set_at > self._max_age:
                self._requote.want(Wanted.nothing(), Instrument(self._pair))
            self._requote.retry()
            self._is_due = True
        self._resumed.set()

    async def _compare_balance(self) -> bool:
        """Learn the position from the balance; false if that has failed."""
        while True:
            filled = self._inventory.filled(self._client.orders)
            try:
                balances = await self._client.balances(wait=False)
            except CryptoprotoError as error:
                logger.info("the position is not known yet: %s", error)
                return False
            if filled == self._inventory.filled(self._client.orders):  # no fill came with or after the response
                break
        balance = balances.get(self._base)
        whole = Decimal(0) if balance is None else EXACT.add(balance.available, balance.on_hold)
        self._inventory.compare(whole, self._client.orders)
        return True
