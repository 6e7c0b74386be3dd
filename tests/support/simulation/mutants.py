"""Changes of the code that matter, made while it runs: the simulation has to find each of them."""

from __future__ import annotations

import importlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from tests.support.simulation.plan import Plan, draw
from tests.support.simulation.run import Result, simulate

__all__ = ["MUTANTS", "Mutant", "hunt", "mutated"]


class Mutant(NamedTuple):
    """One change.

    Attributes:
        name: what it does wrong.
        seed: one that finds it.
        where: the function, as ``module:Class.function`` in the package.
        old: a piece of its text that occurs once.
        new: what takes its place.
    """

    name: str
    seed: int
    where: str
    old: str
    new: str


@contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """Change the code for the time of the block."""
    module_name, _, path = mutant.where.partition(":")
    module = importlib.import_module(f"cryptoproto.{module_name}")
    *owners, name = path.split(".")
    owner: Any = module
    for each in owners:
        owner = getattr(owner, each)
    original = owner.__dict__[name]
    text = textwrap.dedent(inspect.getsource(original))
    assert text.count(mutant.old) == 1, f"{mutant.where} has {text.count(mutant.old)} times {mutant.old!r}"
    scope: dict[str, Any] = {}
    code = "from __future__ import annotations\n" + text.replace(mutant.old, mutant.new)
    exec(compile(code, f"<mutant of {mutant.where}>", "exec"), module.__dict__, scope)
    changed = scope[name]
    setattr(owner, name, changed)
    try:
        yield
    finally:
        setattr(owner, name, original)


def hunt(mutant: Mutant, start: int, seeds: int, draw: Callable[[int], Plan] = draw) -> Result | None:
    """The first world that finds *mutant*, of those that *draw* makes; ``None`` if none does."""
    with mutated(mutant):
        for seed in range(start, start + seeds):
            result = simulate(draw(seed))
            if result.failure is not None:
                return result
    return None


MUTANTS: Final = (
    Mutant(
        "resume before the position",
        0,
        "client.event_stream:EventDelivery.resume_point",
        "return default if self._taken_in is None else self._taken_in",
        "return default if self._taken_in is None else max(self._taken_in - 1, 0)",
    ),
    Mutant(
        "resume after the position",
        1,
        "client.event_stream:EventDelivery.resume_point",
        "return default if self._taken_in is None else self._taken_in",
        "return default if self._taken_in is None else self._taken_in + 1",
    ),
    Mutant(
        "send before the commit",
        4,
        "exchange.journal:Journal.when_durable",
        "if self._actions or self._durable != self._head.number:",
        "if False:",
    ),
    Mutant(
        "publish before the commit",
        15,
        "exchange.journal:Journal._hand_over",
        "batch, self._pending = self._pending, Batch()",
        "batch, self._pending = self._pending, Batch(); self._durable = self._head.number; self._release()",
    ),
    Mutant(
        "do not sync the journal",
        3,
        "exchange.journal_file:JournalFile._connect",
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = NORMAL",
    ),
    Mutant(
        "do not sync the store",
        23,
        "client.store.sqlite_file:_prepare",
        "PRAGMA synchronous = {synchronous}",
        "PRAGMA synchronous = NORMAL",
    ),
    Mutant(
        "reuse a request id",
        1,
        "wire.session:ClientSession.request_frame",
        "self._next_request_id = request_id + 1",
        "self._next_request_id = 1",
    ),
    Mutant(
        "resend silently",
        11,
        "client.order_entry:OrderEntry._was_not_received",
        "again = submission.resend and not submission.caller_left and",
        "again = not submission.caller_left and",
    ),
    Mutant(
        "say too early that it was not received",
        1,
        "client.order_entry:OrderEntry.resume",
        "await ask_patiently(connection, self._account, UserOrdersRequest(), on_orders)",
        "on_orders(None); await ask_patiently(connection, self._account, UserOrdersRequest(), on_orders)",
    ),
    Mutant(
        "forget what is in the outbox",
        2,
        "client.order_entry:OrderEntry.restore",
        "for entry in self._store.outbox():",
        "for entry in self._store.outbox()[1:]:",
    ),
    Mutant(
        "empty the outbox too early",
        28,
        "client.store.changes:Changes._settle",
        "put = self._puts.pop(change.key, None)",
        "put = self._puts.pop(change.key, None); self._puts.clear()",
    ),
    Mutant(
        "leave the log of a process that was killed unread",
        34,
        "client.store.sqlite_file:_open_log",
        "changes.add(change)",
        "pass",
    ),
    Mutant(
        "lose a late report",
        1,
        "client.order_entry:OrderEntry._forget",
        "if submission.caller_left:",
        "if submission.caller_left and False:",
    ),
    Mutant(
        "forget a hold",
        4,
        "client.account.balances:BalanceTable._on_set_balance",
        'message.reason == "on_hold"',
        "False",
    ),
    Mutant(
        "do not release a hold",
        0,
        "exchange.matching:_report_cancelled",
        "if held := order.held:",
        "if (held := order.held) and not order.order_id % 3:",
    ),
    Mutant(
        "compare the older hello",
        2,
        "exchange.link_table:LinkTable.is_newest",
        "live.hello_number < hello_number",
        "live.hello_number > hello_number",
    ),
    Mutant(
        "drop the chain",
        0,
        "exchange.journal_schema:Head.follow",
        "chains[told] = (transaction_id, own)",
        "pass",
    ),
    Mutant(
        "lose the last sequence",
        1,
        "exchange.journal:Journal.append",
        "records[client_id].last_sequence = sequence",
        "pass",
    ),
    Mutant(
        "skip a transaction of the replay",
        1,
        "exchange.ledger:ClientRecord.after",
        "bisect_right(self.history, transaction_id, key=_BY_ID)",
        "bisect_right(self.history, transaction_id + 1, key=_BY_ID)",
    ),
    Mutant(
        "answer before the events",
        1,
        "exchange.outbound:Outbound._send_responses",
        "if after > self._position:",
        "if False:",
    ),
    Mutant(
        "wait without a deadline",
        7,
        "client.order_entry:OrderEntry.submit",
        "self._loop.call_at(submission.deadline, submission.wake)",
        "self._loop.call_at(submission.deadline + 1e6, submission.wake)",
    ),
    Mutant(
        "move the position too early",
        1,
        "client.event_stream:EventDelivery.settle",
        "if self._handled is not None:",
        "if self._taken_in is not None:\n        self._handled = self._taken_in\n    if self._handled is not None:",
    ),
    Mutant(
        "place before the cancel is confirmed",
        15,
        "client.replace:Replacer.replace",
        "            if pipelined:\n",
        "            if True:\n",
    ),
    Mutant(
        "record what comes again",
        1,
        "history.recorder:_write_group",
        "transaction_id is None or transaction_id <= last",
        "transaction_id is None",
    ),
    Mutant(
        "pay nothing",
        1,
        "exchange.matching:Matching._settle",
        "account.exchange(pair.base, units, pair.quote",
        "account.exchange(pair.base, 0, pair.quote",
    ),
    Mutant(
        "never notice silence",
        1,
        "transport.heartbeat:Heartbeat._deadline",
        "self._timeout is None or self._pinged is None",
        "True",
    ),
    Mutant(
        "forget that an order was accepted",
        0,
        "client.outcomes:Outcomes.apply",
        "return [Settled(one, error)]",
        "return [Settled(one, error)] if kind is Kind.CANCEL or number != 7 else []",
    ),
    Mutant(
        "give a rejection to the newest order",
        1,
        "client.outcomes:Outcomes.apply",
        "for one in self._unanswered:",
        "for one in reversed(list(self._unanswered)):",
    ),
    Mutant(
        "do not probe for a cancel_all() that was cancelled",
        21,
        "client.order_entry:OrderEntry._on_cancelled",
        "elif submission.pending.kind is Kind.CANCEL_ALL:",
        "elif False:",
    ),
    Mutant(
        "report after the store was closed",
        3,
        "client.reports:Reports.add",
        "if self._ended:",
        "if False:",
    ),
    Mutant(
        "place a prepared order that was discarded",
        0,
        "client.placing:PreparedOrder._check",
        "if self._over is not None:",
        "if False:",
    ),
    Mutant(
        "do not notice a rewound history",
        47,
        "wire.session:ClientSession.receive",
        "if self._replay_is_over:",
        "if False:",
    ),
    Mutant(
        "forget an earlier process's late reports",
        42,
        "client.reports:Reports.restore",
        "for key, row in self._store.late_reports():",
        "for key, row in ():",
    ),
    Mutant(
        "let two orders share a limit",
        42,
        "client.order_checks:OrderChecks._unfinished",
        "for order in self._being_placed if",
        "for order in () if",
    ),
    Mutant(
        "leave the older connection",
        393,
        "exchange.link_table:LinkTable.joined",
        "if older is not None:",
        "if False:",
    ),
    Mutant(
        "cancel on exit only what is known",
        3,
        "client.cancel_on_exit:CancelOnExit.cancel",
        "self._orders.compared and not self._not_closed()",
        "not self._not_closed()",
    ),
    Mutant(
        "leave orders that have ended in the table",
        0,
        "client.account.order_table:OrderTable._close",
        "self._live.pop(order, None)",
        "pass",
    ),
    Mutant(
        "settle events that come again",
        594,
        "client.order_entry:OrderEntry.settle",
        "number > settled_through",
        "True",
    ),
    Mutant(
        "skip the check of the replay",
        60,
        "client.event_stream:EventDelivery.check_replay",
        "if self._is_stale:",
        "if False:",
    ),
    Mutant(
        "hand over what is replayed twice",
        4,
        "wire.session:ClientSession.receive",
        "if transaction_id <= self.last_transaction_id:",
        "if False:",
    ),
    Mutant(
        "never probe",
        0,
        "client.order_entry:OrderEntry._probe",
        "if connection is None or sequence is None:",
        "if True:",
    ),
    Mutant(
        "take what was refused for not received",
        1,
        "client.outcomes:Outcomes.not_received",
        "one.sequence > last_sequence",
        "one.sequence >= last_sequence",
    ),
    Mutant(
        "take an answer that was missed for a refusal",
        150,
        "client.outcomes:Outcomes._verdict",
        "if not complete:",
        "if False:",
    ),
    Mutant(
        "keep who does not read",
        11321,
        "exchange.outbound:Outbound._on_stall",
        "self._close(CloseCode.POLICY_VIOLATION, reason)",
        "pass",
    ),
)
