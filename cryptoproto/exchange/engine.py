"""The exchange as a function: commands in, events out.

No clock, no I/O, no float, no randomness: the same commands give the same outputs, byte for byte. Recovery from a
journal relies on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from ..exceptions import ConfigurationError, DecodeError
from ..instruments import Instrument
from ..messages import (
    CancelAllOrders,
    CancelOrder,
    DepositTransactionAccepted,
    OrderBookAgg,
    PlaceOrder,
    TradesDisabledOnPairs,
    TradesEnabledOnPairs,
    TradingRules,
    TransactionInfo,
    UserBalanceResponse,
    UserOrdersResponse,
    WithdrawalTransactionAccepted,
)
from . import snapshots
from .accounts import Account, Accounts, Pair
from .book import Book
from .commands import (
    Broadcast,
    Command,
    Deposit,
    DisablePairs,
    EnablePairs,
    Expire,
    LimitOpenOrders,
    Observe,
    Output,
    Private,
    Public,
    Refused,
    Register,
    SetInstruments,
    Submit,
    Withdraw,
)
from .matching import DEFAULT_MAX_OPEN_ORDERS, Matching, event_time
from .recorded import RecordedMatching
from .units import UNIT, Refusal, as_decimal, from_units, to_units

__all__ = ["DEFAULT_MAX_OPEN_ORDERS", "DEFAULT_PAIRS", "Engine"]

DEFAULT_PAIRS: Final = ("BTC_USD", "ETH_USD", "ETH_BTC", "LTC_USD", "BTC_EUR")


class Engine:
    """A matching engine with its accounts.

    Args:
        trade_pairs: base and quote currency of each, ``"BTC_USD"``.
        maker_fee: the fraction of what a resting order receives that is kept as a fee, ``Decimal("0.001")``.
        taker_fee: the same for an order that is filled at once.
        recorded: clients trade with a market that is observed (see :class:`Observe`) and not with each other. Pairs are
            added when they are first observed.

    Raises:
        ConfigurationError: a pair is malformed or named twice, or a fee is not within 0 and 1 or finer than 8 decimals.
    """

    def __init__(
        self,
        *,
        trade_pairs: Sequence[str] = DEFAULT_PAIRS,
        maker_fee: Decimal = Decimal(0),
        taker_fee: Decimal = Decimal(0),
        recorded: bool = False,
    ) -> None:
        self._maker_fee = _fee(maker_fee, "maker_fee")
        self._taker_fee = _fee(taker_fee, "taker_fee")
        self._accounts = Accounts()
        self._matching = (RecordedMatching if recorded else Matching)(
            _books(trade_pairs, recorded=recorded), self._accounts, maker_fee=self._maker_fee, taker_fee=self._taker_fee
        )
        self._now_us = 0

    def apply(self, command: Command | Observe) -> list[Output]:
        """Carry out *command* and return its outputs, in order.

        Invalid content of a command never raises: the result is a :class:`Refused`, and nothing has changed but the
        time. Time does not run backwards: a ``time_us`` before the last one counts as the last one.
        """
        out: list[Output] = []
        if command.time_us > self._now_us:
            self._now_us = command.time_us
        self._matching.expire(self._now_us, out)
        try:
            _HANDLERS[type(command)](self, command, out)
        except Refusal as refusal:
            if isinstance(command, DisablePairs | EnablePairs | Expire | LimitOpenOrders | SetInstruments | Observe):
                raise  # pragma: no cover - these name no client and refuse nothing
            out.append(Refused(command.client_id, refusal.error_type, refusal.text))
        return out

    def _register(self, command: Register, out: list[Output]) -> None:
        if command.client_id not in self._accounts:
            balances = {
                currency: to_units(amount, f"balance of {currency}", zero=True)
                for currency, amount in command.balances.items()
            }
            self._accounts.open(command.client_id, balances)

    def _submit(self, command: Submit, out: list[Output]) -> None:
        account = self._accounts[command.client_id]
        message = command.message
        if isinstance(message, PlaceOrder):
            self._matching.place(account, message, self._now_us, out)
        elif isinstance(message, CancelOrder):
            self._matching.cancel_by_id(account, message.order_id, event_time(self._now_us), out)
        elif isinstance(message, CancelAllOrders):
            self._matching.cancel_all(account, event_time(self._now_us), out)
        else:
            raise Refusal(2, f"{type(message).__name__} is not a message that a client sends")

    def _deposit(self, command: Deposit, out: list[Output]) -> None:
        account = self._accounts[command.client_id]
        units = to_units(command.amount, "amount")
        info = TransactionInfo(command.to_address, command.blockchain_tx_ids)
        time = event_time(self._now_us)
        accepted = DepositTransactionAccepted(command.currency, from_units(units), info, time)
        out.append(Private(account.client_id, accepted))
        out.append(account.change(command.currency, units, "transfer", time))

    def _withdraw(self, command: Withdraw, out: list[Output]) -> None:
        account = self._accounts[command.client_id]
        units = to_units(command.amount, "amount")
        available = account.available(command.currency)
        if units > available:
            raise Refusal(
                -1,
                f"cannot withdraw {from_units(units):f} {command.currency}: {from_units(available):f} are available",
            )
        info = TransactionInfo(command.to_address, command.blockchain_tx_ids)
        time = event_time(self._now_us)
        accepted = WithdrawalTransactionAccepted(command.currency, from_units(units), info, time)
        out.append(Private(account.client_id, accepted))
        out.append(account.change(command.currency, -units, "withdraw", time))

    def _disable(self, command: DisablePairs, out: list[Output]) -> None:
        pairs = [pair for pair in self.trade_pairs if pair in command.trade_pairs and pair not in self._disabled]
        self._disabled.update(pairs)
        if pairs:
            out.append(Broadcast(TradesDisabledOnPairs(pairs)))

    def _enable(self, command: EnablePairs, out: list[Output]) -> None:
        pairs = [pair for pair in self.disabled_pairs if pair in command.trade_pairs]
        self._disabled.difference_update(pairs)
        if pairs:
            out.append(Broadcast(TradesEnabledOnPairs(pairs)))

    def _expire(self, command: Expire, out: list[Output]) -> None:
        """Nothing to do: apply() has expired what is due."""

    def _limit_open_orders(self, command: LimitOpenOrders, out: list[Output]) -> None:
        self._matching.max_open_orders = command.max_open_orders

    def _observe(self, command: Observe, out: list[Output]) -> None:
        update = command.update
        if not isinstance(self._matching, RecordedMatching):
            raise TypeError("this engine has a market of its own, and cannot observe another")
        if isinstance(update, TradesDisabledOnPairs):
            self._disable(DisablePairs(update.trade_pairs, command.time_us), out)
        elif isinstance(update, TradesEnabledOnPairs):
            self._enable(EnablePairs(update.trade_pairs, command.time_us), out)
        elif isinstance(update, TradingRules):
            self._set_instruments(SetInstruments(update.instruments, command.time_us), out)
        else:
            self._matching.observe(update, event_time(self._now_us), out)

    def _set_instruments(self, command: SetInstruments, out: list[Output]) -> None:
        instruments = map(Instrument.from_rules, command.instruments)
        self._matching.instruments = {each.trade_pair: each for each in instruments}
        out.append(Public(self.trading_rules))

    @property
    def _disabled(self) -> set[str]:
        return self._matching.disabled

    @property
    def trade_pairs(self) -> tuple[str, ...]:
        """All pairs, in the order in which they were given."""
        return tuple(self._matching.books)

    @property
    def fees(self) -> tuple[Decimal, Decimal]:
        """The fees of resting and of incoming orders."""
        return from_units(self._maker_fee), from_units(self._taker_fee)

    @property
    def max_open_orders(self) -> int:
        """How many open orders a client may have."""
        return self._matching.max_open_orders

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The rules of the pairs that have any, in order of the pairs."""
        known = self._matching.instruments
        return tuple(known[pair] for pair in self.trade_pairs if pair in known)

    @property
    def trading_rules(self) -> TradingRules:
        """The rules of all pairs, as they are published."""
        known = self._matching.instruments
        return TradingRules([(known.get(pair) or Instrument(pair)).to_rules() for pair in self.trade_pairs])

    @property
    def open_order_count(self) -> int:
        """How many orders are open, over all clients."""
        return sum(len(account.orders) for account in self._accounts)

    @property
    def disabled_pairs(self) -> tuple[str, ...]:
        """The pairs that accept no orders at present."""
        return tuple(pair for pair in self._matching.books if pair in self._disabled)

    @property
    def last_order_id(self) -> int:
        """The id of the newest order, refused ones included; 0 before the first."""
        return self._matching.last_order_id

    @property
    def client_ids(self) -> tuple[str, ...]:
        """All clients in order of registration."""
        return tuple(account.client_id for account in self._accounts)

    @property
    def collected_fees(self) -> dict[str, Decimal]:
        """The fees collected so far by currency."""
        return self._accounts.collected_fees()

    def totals(self) -> dict[str, Decimal]:
        """The total of each currency: available and on hold in all accounts, and collected fees.

        Only registrations, deposits and withdrawals change it.
        """
        return self._accounts.totals()

    def open_orders(self, client_id: str) -> UserOrdersResponse:
        """The open orders of a client, in order of id; pairs without any are left out.

        Raises:
            ConfigurationError: there is no such client.
        """
        return self._account(client_id).orders_response()

    def balances(self, client_id: str) -> UserBalanceResponse:
        """The balances of a client, for every currency that it has ever had.

        Raises:
            ConfigurationError: there is no such client.
        """
        return self._account(client_id).balance_response()

    def aggregated_book(self, trade_pair: str) -> OrderBookAgg:
        """The whole book of a pair, levels in order from the best price.

        Raises:
            ConfigurationError: there is no such pair.
        """
        book = self._matching.book(trade_pair)
        if book is None:
            raise ConfigurationError(f"unknown trade pair {trade_pair!r}")
        return book

    def take_touched(self) -> list[str]:
        """The pairs whose books have changed since the last call."""
        touched = [pair for pair in self._matching.books if pair in self._matching.touched]
        self._matching.touched.clear()
        return touched

    def next_expiry(self) -> int | None:
        """When the next order expires, in microseconds since 1970; ``None`` if no order does."""
        return self._matching.next_expiry()

    def snapshot(self, *, client_order_ids: bool = True) -> bytes:
        """The whole state. The same state gives the same bytes.

        Args:
            client_order_ids: whether to include the used client order ids. Only they grow with the number of orders
                ever placed; without them the size of a snapshot is that of the books.
        """
        return snapshots.dump(
            self._matching,
            self._accounts,
            maker_fee=self._maker_fee,
            taker_fee=self._taker_fee,
            now_us=self._now_us,
            client_order_ids=client_order_ids,
        )

    @classmethod
    def restore(cls, raw: bytes, client_order_ids: Mapping[str, Iterable[int]] | None = None) -> Engine:
        """An engine with the state of the snapshot *raw*.

        Args:
            raw: the snapshot.
            client_order_ids: used client order ids that are not in the snapshot, by client.

        Raises:
            DecodeError: *raw* is not a snapshot, is damaged, or has another version.
        """
        state = snapshots.load(raw)
        try:
            engine = cls(
                trade_pairs=state.trade_pairs,
                maker_fee=from_units(state.maker_fee),
                taker_fee=from_units(state.taker_fee),
            )
            snapshots.fill(state, engine._matching, engine._accounts)
            for client_id, used in (client_order_ids or {}).items():
                engine._accounts[client_id].client_order_ids.update(used)
        except (ConfigurationError, Refusal, KeyError, ArithmeticError) as error:
            raise DecodeError(f"the snapshot contradicts itself: {error}") from error
        engine._now_us = state.now_us
        return engine

    def _account(self, client_id: str) -> Account:
        try:
            return self._accounts[client_id]
        except Refusal as refusal:
            raise ConfigurationError(refusal.text) from None


_HANDLERS: Final[dict[type[Any], Callable[[Engine, Any, list[Output]], None]]] = {
    Register: Engine._register,
    Submit: Engine._submit,
    Deposit: Engine._deposit,
    Withdraw: Engine._withdraw,
    DisablePairs: Engine._disable,
    EnablePairs: Engine._enable,
    Expire: Engine._expire,
    LimitOpenOrders: Engine._limit_open_orders,
    Observe: Engine._observe,
    SetInstruments: Engine._set_instruments,
}


def _fee(fraction: Decimal, name: str) -> int:
    try:
        units = to_units(as_decimal(fraction, name), name, zero=True)
    except Refusal as refusal:
        raise ConfigurationError(refusal.text) from None
    if units >= UNIT:
        raise ConfigurationError(f"{name}={fraction} must be less than 1: it is a fraction, 0.001 for 0.1 %")
    return units


def _books(trade_pairs: Sequence[str], *, recorded: bool) -> dict[str, Book]:
    books: dict[str, Book] = {}
    for pair in trade_pairs:
        if pair in books:
            raise ConfigurationError(f"trade pair {pair!r} is given twice")
        books[pair] = Book(Pair.named(pair))
    if not books and not recorded:
        raise ConfigurationError("an exchange needs at least one trade pair")
    return books
