"""Orders and cancels: sent at the right pace, remembered until their outcome is known, and told truthfully."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from ..connection.connection import Connection
from ..connection.event import Event
from ..exceptions import (
    ConnectionClosed,
    CryptoprotoError,
    InsufficientFundsError,
    OutcomeUnknown,
    RequestTimeout,
    ServerError,
)
from ..messages import (
    CancelOrder,
    Message,
    Outgoing,
    PlaceOrder,
    Unknown,
    UserBalanceRequest,
    UserBalanceResponse,
    UserOrdersRequest,
    UserOrdersResponse,
    decode_client_message,
)
from ..reconnect.subscription import Channel
from .account.account import Account
from .account.balances import BalanceDifference
from .account.order import Order
from .account.order_table import OrderDifference
from .metrics import Metrics
from .outcomes import Kind, Outcomes, Pending, never_sent
from .rate_limiter import TokenBucket
from .reconnector import Keeper
from .states import State
from .store.interface import OutboxEntry, Store

__all__ = ["Desk", "OutcomeReport", "Report"]

_PATIENCE_S: Final = 10.0


class OutcomeReport(msgspec.Struct, frozen=True):
    """An outcome that became known when nobody was waiting for it any more.

    *error* is ``None`` where the message took effect, and tells why not otherwise.
    """

    kind: Kind
    client_order_id: int | None
    order_id: int | None
    error: CryptoprotoError | None


Report: TypeAlias = OutcomeReport | OrderDifference | BalanceDifference
"""What a client reports on its own account: late outcomes, and differences found after a resume."""


class _SendAgain(CryptoprotoError):
    """No error but an answer: the exchange has not received it, and it is to be sent once more."""


class Desk:
    """The messages that are on their way, and what the exchange says of orders and balances after each resume."""

    def __init__(self, account: Account, store: Store, metrics: Metrics, order_rate: float | None) -> None:
        self.outcomes = Outcomes(self._on_settled)
        self.bucket = TokenBucket(order_rate)
        self.reports: Channel[Report] = Channel()
        self._account = account
        self._store = store
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._error: CryptoprotoError | None = None
        self._is_whole = False  # whether everything since the account was opened was heard

    # What the connection tells

    def restore(self) -> None:
        """Take up the messages that an earlier process left without an outcome."""
        for entry in self._store.outbox():
            pending = Pending(Kind(entry.kind), entry.payload, client_order_id=entry.client_order_id, resend=False)
            message = decode_client_message(entry.payload)
            if isinstance(message, CancelOrder):
                pending.order_id = message.order_id
            elif isinstance(message, PlaceOrder):
                self._account.orders.add(Order.of(message, created_ns=entry.created_ns))
            pending.sequence = entry.sequence
            pending.key = entry.key
            pending.unknown = True
            self.outcomes.add(pending)

    def answer(self, event: Event) -> None:
        """An event that was taken in: tell who waits for it. To be called while anybody does.

        Raises:
            StoreError: the outcome could not be stored; nothing has happened, and the event is to come again.
        """
        if event.transaction_id is not None and event.transaction_id > self._store.settled_through:
            self.outcomes.apply(event.message)

    async def resume(self, connection: Connection, resumed_from: int) -> int:
        """Find out what became of everything while there was no connection; returns how many events were replayed.

        The exchange has replayed all that it will when the response to a request arrives, and what it had seen of us
        it told in the handshake. So every message without an outcome has one now; only where the client wants live
        events alone, an answer may have been missed.
        """
        complete = resumed_from >= 0
        self._is_whole |= resumed_from == 0
        heard = self._account.heard
        last_sequence = connection.last_sequence

        def compare_orders(response: Message | Unknown) -> None:
            # Not before: an older link may have brought more during the handshake, which the exchange then refuses.
            for pending in self.outcomes.not_received(last_sequence):
                self._was_not_received(pending)
            differences: list[OrderDifference] = []
            if isinstance(response, UserOrdersResponse):
                differences = self._account.orders.adopt(response, whole=self._is_whole)
            if not complete:
                for pending in self.outcomes.pending():
                    order = self._order(pending)
                    if order is not None and order.is_open:
                        self.outcomes.settle(pending, None)
            self.outcomes.caught_up(last_sequence, self._error, complete=complete)
            self._error = None
            for difference in differences:
                self.reports.publish(difference)

        def compare_balances(response: Message | Unknown) -> None:
            if isinstance(response, UserBalanceResponse):
                for difference in self._account.balances.adopt(response):
                    self.reports.publish(difference)

        await self._ask(connection, UserOrdersRequest(), compare_orders)
        replayed = self._account.heard - heard
        await self._ask(connection, UserBalanceRequest(), compare_balances)
        return replayed

    async def _ask(self, connection: Connection, question: Outgoing, at: Callable[[Message | Unknown], None]) -> None:
        """Ask, with patience for as long as events come: a long history is replayed before the response."""
        while True:
            heard = self._account.heard
            try:
                await connection.request_at(question, at)
            except RequestTimeout:
                if self._account.heard == heard:
                    raise
            else:
                return

    def down(self, error: CryptoprotoError) -> None:
        """An open connection has ended. An error frame stays until the message that it answers is known."""
        if not isinstance(self._error, ServerError):
            self._error = error

    # What the user asks

    async def submit(self, keeper: Keeper, pending: Pending, *, wait: bool) -> None:
        """Send a message and wait for its outcome.

        Raises:
            CryptoprotoError: why it did not take effect; OutcomeUnknown where the deadline passed without a connection.
        """
        pending.waited_for = True
        try:
            while True:
                await self._send_within_deadline(keeper, pending, wait=wait)
                error = await self._outcome(keeper, pending)
                if not isinstance(error, _SendAgain):
                    break
                pending.answer = self._loop.create_future()
                wait = True  # it is to be sent again, for which there has to be a connection
        except asyncio.CancelledError:
            self._on_cancelled(pending)
            raise
        finally:
            pending.waited_for = False
        if error is not None:
            raise error

    async def _send_within_deadline(self, keeper: Keeper, pending: Pending, *, wait: bool) -> None:
        try:
            async with asyncio.timeout_at(pending.deadline):
                while pending.sequence is None:
                    await self._send(keeper, pending, wait=wait)
        except TimeoutError:
            if pending.sequence is None:
                error = never_sent("it could not be sent within the deadline")
                self._not_sent(pending, error)
                raise error from None
        except CryptoprotoError as error:
            self._not_sent(pending, error)
            raise

    async def _send(self, keeper: Keeper, pending: Pending, *, wait: bool) -> None:
        """One try to send; without an exception and without a sequence it is worth another."""
        connection = await keeper.live(wait=wait)
        await self.bucket.turn(urgent=pending.kind is not Kind.PLACE)
        try:
            await connection.send(
                pending.payload,
                on_sequence=lambda sequence: self._leaves(pending, sequence),
                urgent=pending.kind is not Kind.PLACE,
            )
            connection.resume_events()  # the answer may come behind events that nobody takes now
        except CryptoprotoError as error:
            if pending.sequence is not None:
                return
            if connection.is_open:  # it is the message, or the store, and would be the same the next time
                error.sent = False
                raise
            if not wait:
                raise never_sent(f"the connection ended: {error}") from error

    def _leaves(self, pending: Pending, sequence: int) -> None:
        """The message has its sequence and is about to leave: it must be remembered first."""
        pending.key = self._store.put(
            OutboxEntry(
                client_order_id=pending.client_order_id,
                kind=pending.kind.value,
                payload=pending.payload,
                sequence=sequence,
                created_ns=time.time_ns(),
            )
        )
        pending.sequence = sequence
        pending.sent_ns = time.time_ns()
        self.outcomes.add(pending)
        self._metrics.count(f"{'order' if pending.kind is Kind.PLACE else pending.kind.value}s_sent")

    async def _outcome(self, keeper: Keeper, pending: Pending) -> CryptoprotoError | None:
        answer = pending.answer
        if pending.kind is Kind.CANCEL_ALL and not answer.done():
            await self._probe(keeper, pending)  # no event answers it, but the response to a request comes behind it
        while not answer.done():
            patience = max(pending.deadline - self._loop.time(), 0.0)
            await asyncio.wait([answer], timeout=patience)
            if answer.done():
                break
            if keeper.state.state is State.LIVE:
                await self._probe(keeper, pending)  # the link is up, so the answer comes: ask whether it really is
                pending.deadline = self._loop.time() + 1.0
            else:
                pending.unknown = True
                self._metrics.count("outcomes_unknown")
                error = OutcomeUnknown(
                    "the connection was lost before the exchange answered; the outcome will be reported"
                )
                error.sent = True
                order = self._order(pending)
                if order is not None:
                    self._account.orders.mark_unknown(order, error)
                return error
        return answer.result()

    async def _probe(self, keeper: Keeper, pending: Pending) -> None:
        """Ask for anything: the response comes behind what was sent before, and proves that the link is alive."""
        connection = keeper.connection
        sequence = pending.sequence
        if connection is None or sequence is None:
            return

        def behind(_: Message | Unknown) -> None:
            if pending.kind is Kind.CANCEL_ALL and pending.sequence == sequence:
                self.outcomes.settle(pending, None)

        try:
            await connection.request_at(UserOrdersRequest(), behind, timeout=_PATIENCE_S)
        except RequestTimeout:
            await connection.close()  # it answers nothing: what a new connection tells is the truth
        except CryptoprotoError:
            pass  # the connection has ended; the next one tells

    def close(self) -> None:
        """End all who wait: nothing more is sent, and nothing more is heard."""
        self.bucket.end(lambda: never_sent("the client is closed"))
        for pending in self.outcomes.pending():
            if not pending.answer.done():
                error = OutcomeUnknown("the client was closed before the exchange answered")
                error.sent = True
                order = self._order(pending)
                if order is not None:
                    self._account.orders.mark_unknown(order, error)
                pending.answer.set_result(error)
        self._account.orders.end(ConnectionClosed(None, "the client is closed"))
        self.reports.end()

    # How it ends

    def _on_cancelled(self, pending: Pending) -> None:
        """Its caller has left: what became of it is reported, here if it is known, and when it is known otherwise."""
        outcome = pending.answer.result() if pending.answer.done() else None
        if pending.answer.done() and not isinstance(outcome, _SendAgain):
            self._report(pending, outcome)
        elif pending.sequence is None:
            error = never_sent("the call was cancelled before it was sent")
            self._not_sent(pending, error)
            self._report(pending, error)

    def _was_not_received(self, pending: Pending) -> None:
        if pending.key is not None:
            self._store.remove(pending.key, self._account.position)
            pending.key = None
        self.outcomes.remove(pending)
        pending.sequence = None
        if pending.resend and pending.waited_for and self._loop.time() < pending.deadline:
            pending.resend = False
            self._metrics.count("resent")
            pending.answer.set_result(_SendAgain())
            return
        error = never_sent("the connection was lost before the exchange received it")
        self._not_sent(pending, error)
        self._tell(pending, error)

    def _on_settled(self, pending: Pending, error: CryptoprotoError | None) -> None:
        if pending.key is not None:
            self._store.remove(pending.key, self._account.position)
            pending.key = None
        order = self._order(pending)
        if order is not None and isinstance(error, OutcomeUnknown):
            self._account.orders.mark_unknown(order, error)
        elif order is not None and error is not None:
            order_id = error.order_id if isinstance(error, InsufficientFundsError) else None
            self._account.orders.reject(order, error, order_id=order_id)
        if pending.kind is Kind.PLACE:
            self._metrics.count("orders_acknowledged" if error is None else "orders_rejected")
            if error is None and order is not None and order.acknowledged_ns is not None and pending.sent_ns:
                self._metrics.order_to_acknowledgement.record(order.acknowledged_ns - pending.sent_ns)
        self._tell(pending, error)

    def _tell(self, pending: Pending, error: CryptoprotoError | None) -> None:
        if pending.unknown or not pending.waited_for:
            self._report(pending, error)
        if not pending.answer.done():
            pending.answer.set_result(error)

    def _report(self, pending: Pending, error: CryptoprotoError | None) -> None:
        self.reports.publish(OutcomeReport(pending.kind, pending.client_order_id, pending.order_id, error))

    def _not_sent(self, pending: Pending, error: CryptoprotoError) -> None:
        self._metrics.count("not_sent")
        order = self._order(pending)
        if order is not None:
            self._account.orders.mark_not_sent(order, error)

    def _order(self, pending: Pending) -> Order | None:
        if pending.kind is not Kind.PLACE or pending.client_order_id is None:
            return None
        return self._account.orders.by_client_order_id(pending.client_order_id)
