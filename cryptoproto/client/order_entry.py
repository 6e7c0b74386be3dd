"""Order entry: sends orders and cancels at the allowed rate, and settles each with its outcome."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from ..connection import Connection, Event
from ..exceptions import (
    ClientClosed,
    ConnectionClosed,
    CryptoprotoError,
    HistoryRewound,
    InsufficientFundsError,
    OutcomeUnknown,
    RequestTimeout,
    ServerError,
)
from ..messages import Message, Unknown, UserBalanceRequest, UserBalanceResponse, UserOrdersRequest, UserOrdersResponse
from .account import Account
from .link import Link, not_sent
from .metrics import Metrics
from .outcomes import ANSWERS, Kind, Outcomes, Pending, Settled
from .questions import ask_patiently
from .rate_limiter import RateLimiter
from .ready_messages import ReadyMessages
from .reports import Reports
from .reservation import Reservations
from .rewind import known_to, rewound_before, rewound_by
from .store import OutboxEntry, Store
from .submission import SENT, SendAgain, Submission
from .turn import turn

__all__ = ["OrderEntry"]

_PROBE_TIMEOUT_S: Final = 5.0


class OrderEntry:
    """Sends orders and cancels, and settles each with its outcome.

    Args:
        link: which connection there is.
        account: the tables of orders and balances.
        store: where messages without an outcome are kept.
        reports: where outcomes go that nobody waits for.
        metrics: counters and durations.
        ready: messages that are signed ahead.
        order_rate: orders and cancels a second; ``None`` = as many as are placed.
    """

    def __init__(
        self,
        link: Link,
        account: Account,
        store: Store,
        reports: Reports,
        metrics: Metrics,
        ready: ReadyMessages,
        order_rate: float | None,
    ) -> None:
        self.rate_limiter: RateLimiter = RateLimiter(order_rate)
        self._link = link
        self._account = account
        self._store = store
        self._reports = reports
        self._metrics = metrics
        self._ready = ready
        self.reserved: Reservations = Reservations(store)
        self._submissions: dict[Pending, Submission] = {}  # those without an outcome
        self._outcomes = Outcomes(self._submissions)
        self._loop = asyncio.get_running_loop()
        self._error: CryptoprotoError | None = None  # an error frame whose message is not known yet
        self._last_accepted = 0  # the highest sequence of an accepted order
        self._known_before = 0  # the same before the present connection
        self._refuses_orders = False
        self._probes: set[asyncio.Task[None]] = set()
        self._is_whole = False  # whether everything since the account was opened was received
        self._is_live_only = False  # whether all events of this connection are new

    @property
    def unanswered(self) -> int:
        """How many messages have no outcome yet."""
        return len(self._submissions)

    def restore(self) -> None:
        """Take up the messages that an earlier process left without an outcome."""
        for entry in self._store.outbox():
            submission = Submission.restored(entry, self._loop.create_future())
            if submission.order is not None:
                self._account.orders.add(submission.order)
            self._submissions[submission.pending] = submission

    # Sending

    async def submit(self, submission: Submission, *, wait: bool) -> None:
        """Send a message and wait for its outcome.

        Cancelling stops the wait. A message that was sent is reported when its outcome is known.

        Raises:
            RequestNotSent: the exchange has not received it and will not.
            OutcomeUnknown: its outcome is not known at the deadline, and will be reported.
            CryptoprotoError: why it did not take effect.
        """
        try:
            while True:
                await self._send_by_deadline(submission, wait=wait)
                if submission.pending.kind is Kind.CANCEL_ALL and not submission.answer.done():
                    await self._probe(submission)  # no event answers it; the response to a request comes after it
                if not submission.answer.done():
                    submission.waiter = waiter = self._loop.create_future()
                    timer = self._loop.call_at(submission.deadline, submission.wake)
                    try:
                        await waiter
                    finally:
                        timer.cancel()
                error = submission.answer.result() if submission.answer.done() else await self._late_outcome(submission)
                if not isinstance(error, SendAgain):
                    break
                submission.answer = self._loop.create_future()
                wait = True  # it is to be sent again, which needs a connection
        except asyncio.CancelledError:
            self._on_cancelled(submission)
            raise
        submission.caller_left = True
        if error is not None:
            raise error

    async def _send_by_deadline(self, submission: Submission, *, wait: bool) -> None:
        """Send it, waiting for a connection and a turn until the deadline. Afterwards it has a sequence."""
        pending = submission.pending
        try:
            async with asyncio.timeout_at(submission.deadline):
                # Usually it can leave at once, which saves the steps of waiting for a turn.
                at_once = not (self.rate_limiter.is_limited or self.reserved.are_needed)
                connection = self._link.live() if at_once else None
                if connection is not None and connection.is_free_for(submission.payload):
                    await self._send(connection, submission)
                while pending.sequence is None:
                    connection = await turn(self._link, self.rate_limiter, submission, wait=wait)
                    if connection is not None and self.reserved.are_needed:
                        async with self.reserved.hold(connection, submission) as is_free:
                            if is_free:
                                await self._send(connection, submission)
                    elif connection is not None:
                        await self._send(connection, submission)
        except TimeoutError:
            if pending.sequence is None:
                late = self._link.late("it could not be sent")
                self._not_sent(submission, late)
                raise late from late.__cause__
        except CryptoprotoError as error:
            if pending.sequence is None:
                error.sent = False
                self._not_sent(submission, error)
                raise
            # It was handed over and the connection ended: the next connection shows whether the exchange received it.

    async def _send(self, connection: Connection, submission: Submission) -> None:
        """Remember the message under its sequence, then send it. Nothing is awaited in between."""
        sequence = connection.next_sequence
        order = submission.order
        if order is not None:
            if self._refuses_orders:
                raise ClientClosed("the client is closing and sends no more orders; a retry cannot succeed")
            self._account.orders.add(order)
        now_ns, pending = time.time_ns(), submission.pending
        try:
            submission.key = self._store.put(
                OutboxEntry(
                    kind=pending.kind.value,
                    payload=submission.payload,
                    created_ns=now_ns,
                    client_order_id=pending.client_order_id,
                    sequence=sequence,
                )
            )
        except CryptoprotoError:
            if order is not None:
                self._account.orders.withdraw(order)
            raise
        submission.sent_ns = now_ns
        pending.sequence = sequence
        self._submissions[pending] = submission
        self._metrics.count(SENT[pending.kind])
        try:
            await connection.send_encoded(submission.payload)
        finally:
            if submission.is_prepared:
                submission.is_prepared = False
                self._ready.remove(submission.payload)
        connection.resume_events()  # the answer may come after events that nobody takes now

    # Waiting for the outcome

    async def _late_outcome(self, submission: Submission) -> CryptoprotoError | None:
        """There was no outcome at the deadline. Wait for one probe longer if the connection is up."""
        if self._link.live() is not None:
            await self._probe(submission)
            if not submission.answer.done():
                # The exchange has answered a later request, or nothing at all. A new connection replays the truth.
                self._link.give_up(ConnectionClosed(None, "the exchange did not answer a message"))
        if submission.answer.done():
            return submission.answer.result()
        submission.caller_left = True
        self._metrics.count("outcomes_unknown")
        return self._unknown(submission, "no answer came before the deadline; the outcome will be reported")

    async def _probe(self, submission: Submission) -> None:
        """Send a request. Its response follows the answers to earlier messages, and proves that the link is live."""
        connection, pending, sequence = self._link.connection, submission.pending, submission.pending.sequence
        if connection is None or sequence is None:
            return

        def after(_: Message | Unknown) -> None:
            if pending.kind is Kind.CANCEL_ALL and pending.sequence == sequence and pending in self._submissions:
                self._settle(Settled(pending, None), self._account.position)

        try:
            await self.reserved.request_at(connection, UserOrdersRequest(), after, _PROBE_TIMEOUT_S)
        except RequestTimeout:
            connection.give_up(ConnectionClosed(None, f"no response to a request within {_PROBE_TIMEOUT_S:g} s"))
        except CryptoprotoError:
            pass  # the connection has ended; the next one shows the outcome

    def _on_cancelled(self, submission: Submission) -> None:
        """Its caller has left: the outcome is reported, now if it is known, or when it becomes known."""
        submission.caller_left = True
        if submission.answer.done() and not isinstance(outcome := submission.answer.result(), SendAgain):
            self._reports.add_of_cancelled(submission.report(outcome))
        elif submission.pending.sequence is None:
            error = not_sent("the call was cancelled before it was sent")
            self._not_sent(submission, error)
            self._reports.add_of_cancelled(submission.report(error))
        elif submission.pending.kind is Kind.CANCEL_ALL:  # which no event answers: only a later request does
            probe = self._loop.create_task(self._probe(submission))
            self._probes.add(probe)
            probe.add_done_callback(self._probes.discard)

    # Settling

    def settle(self, events: list[Event]) -> None:
        """Settle what *events* answer, and wake those who wait for it.

        Raises:
            StoreError: an outcome could not be stored. It is decided again when the events come again.
        """
        if self._ready.follows_orders and self._link.live() is not None:
            self._ready.follow_orders()
        if not self._submissions:
            return
        settled_through, orders = self._store.settled_through, self._account.orders
        # The tables ignore old ids, which a live-only connection to a restored exchange may bring.
        may_be_rewound = orders.has_repeated_id or self._is_live_only
        for event in events:
            message, number = event.message, event.transaction_id
            # Replayed answers have settled something already. A live-only connection replays none.
            if type(message) in ANSWERS and number is not None and (number > settled_through or self._is_live_only):
                if may_be_rewound and (error := rewound_by(message, number, orders, settled_through)) is not None:
                    self._link.give_up(error)
                    return
                for settled in self._outcomes.apply(message):
                    self._settle(settled, number)

    def _settle(self, settled: Settled, through: int) -> None:
        pending, error = settled
        submission = self._submissions[pending]
        self._forget(submission, through, error)
        if (order := submission.order) is not None:
            if error is None:  # unlike other answers this proves the sequence: a cancel may settle another one
                self._last_accepted = max(self._last_accepted, pending.sequence or 0)
            elif isinstance(error, OutcomeUnknown):
                self._account.orders.end_unknown(order, error)
            else:
                order_id = error.order_id if isinstance(error, InsufficientFundsError) else None
                self._account.orders.reject(order, error, order_id=order_id)
            self._metrics.count("orders_acknowledged" if error is None else "orders_rejected")
            if error is None and order.acknowledged_ns is not None and submission.sent_ns:
                self._metrics.order_to_acknowledgement.record(order.acknowledged_ns - submission.sent_ns)
        if not submission.answer.done():  # as submission.settle(), without its calls
            submission.answer.set_result(error)
            if (waiter := submission.waiter) is not None and not waiter.done():
                waiter.set_result(None)

    def _forget(self, submission: Submission, through: int, error: CryptoprotoError | None) -> None:
        """Take it out of the outbox; its outcome becomes a report there if nobody waits for it."""
        key = submission.key
        if submission.caller_left:
            self._reports.add(submission.report(error), key=key, settled_through=through)
        elif key is not None:  # pragma: no branch - what was sent has a key
            self._store.remove(key, through)
        submission.key = None
        del self._submissions[submission.pending]

    def _was_not_received(self, submission: Submission) -> None:
        again = submission.resend and not submission.caller_left and self._loop.time() < submission.deadline
        error = not_sent("the connection was lost before the exchange received it")
        self._forget(submission, self._account.position, error)
        submission.pending.sequence = None  # it may be sent again, with another one
        if again:
            submission.resend = False
            self._metrics.count("resent")
        else:
            self._not_sent(submission, error)
        submission.settle(SendAgain() if again else error)

    def _not_sent(self, submission: Submission, error: CryptoprotoError) -> None:
        self._metrics.count("not_sent")
        if submission.order is not None:
            self._account.orders.mark_not_sent(submission.order, error)

    def _unknown(self, submission: Submission, reason: str) -> OutcomeUnknown:
        error = OutcomeUnknown(reason)
        error.sent = True
        if submission.order is not None:
            self._account.orders.mark_unknown(submission.order, error)
        return error

    # Each new connection

    async def resume(self, connection: Connection, resumed_from: int) -> int:
        """Find out what became of everything while there was no connection; returns how many events were replayed.

        When the response to a request arrives, the exchange has replayed everything, and the handshake said what it had
        seen of us. So every message without an outcome has one now. Only if the client wants live events alone, an
        answer may be missing.

        Raises:
            HistoryRewound: the exchange has forgotten an order that it had accepted, or events that are in the tables.
        """
        last_sequence = connection.last_sequence
        # Not against what this connection has replayed: an older one may have delivered more after the handshake.
        if last_sequence < self._known_before:
            raise HistoryRewound(self._known_before, last_sequence, "sequence")
        self._ready.connected(connection)
        await self.reserved.connected(connection)
        complete, self._is_whole = resumed_from >= 0, self._is_whole or resumed_from == 0
        received = self._account.heard
        known = max(self._account.position, known_to(self._store)) if complete else resumed_from
        rewound: HistoryRewound | None = None

        def on_orders(response: Message | Unknown) -> None:
            nonlocal rewound
            rewound = rewound_before(response, connection.received_position, known, self._account.orders)
            if rewound is not None:
                return
            self._is_live_only = not complete
            # Not earlier: an older link may have delivered more during the handshake, which the exchange then refuses.
            for pending in self._outcomes.not_received(last_sequence):
                self._was_not_received(self._submissions[pending])
            self._compare_orders(response, last_sequence, complete=complete)

        def on_balances(response: Message | Unknown) -> None:
            if isinstance(response, UserBalanceResponse):
                for difference in self._account.balances.adopt(response):
                    self._reports.add(difference)

        await ask_patiently(connection, self._account, UserOrdersRequest(), on_orders)
        if rewound is not None:
            raise rewound
        replayed = self._account.heard - received
        await ask_patiently(connection, self._account, UserBalanceRequest(), on_balances)
        self._ready.follow_orders()
        return replayed

    def _compare_orders(self, response: Message | Unknown, last_sequence: int, *, complete: bool) -> None:
        adopt, is_whole = self._account.orders.adopt, self._is_whole
        differences = adopt(response, whole=is_whole) if isinstance(response, UserOrdersResponse) else []
        through = self._account.position
        if not complete:
            for submission in list(self._submissions.values()):
                if submission.order is not None and submission.order.is_open:
                    self._settle(Settled(submission.pending, None), through)
        for settled in self._outcomes.caught_up(last_sequence, self._error, complete=complete):
            self._settle(settled, through)
        self._error = None
        for difference in differences:
            self._reports.add(difference)

    def on_disconnected(self, error: CryptoprotoError) -> None:
        """An open connection has ended. An error frame is kept until the message that it answers is known."""
        self._known_before = self._last_accepted
        self._is_live_only = False
        if not isinstance(self._error, ServerError):
            self._error = error

    def refuse_orders(self) -> None:
        """Send no order from now on; cancels are still sent."""
        self._refuses_orders = True

    def close(self) -> None:
        """Answer everybody who waits: nothing more is sent or received."""
        self.rate_limiter.end(self._link.closed)
        for submission in list(self._submissions.values()):
            if not submission.answer.done():
                submission.settle(self._unknown(submission, "the client was closed before the answer came"))
        self._account.orders.end(ConnectionClosed(None, "the client is closed"))
        self._reports.end()
