"""What clients that were killed have said, and whether it is true; see ``tests/support/client_process.py``."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import tempfile
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeAlias

import cryptoproto as cp
from cryptoproto.exchange import Exchange
from cryptoproto.exchange.commands import Submit
from cryptoproto.exchange.journal_schema import decode_command
from cryptoproto.history import History
from cryptoproto.history.reader import Reader
from cryptoproto.messages import BuyOrderPlaced, InsufficientFunds, OrderCancelled, OrderClosed, OrderNotFound, decode
from tests.support.journals import recorded
from tests.support.lives import DEADLINE_S

__all__ = ["Log", "Story", "Truth", "check_events", "check_history", "check_outcomes", "scratch_folder"]

Asked: TypeAlias = tuple[str, int | None]
"""``"place"`` and a client order id, ``"cancel"`` and an order id, or ``"cancel_all"`` and ``None``."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Where waiting for the disk costs nothing: a killed process loses nothing that the system was given."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


class Log:
    """A log that is read while it is written: a pipe in the place of the file.

    Attributes:
        lines: all so far.
        over: why no more comes, empty while it does.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.lines: list[list[Any]] = []
        self.over = ""
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._writer = os.open(path, os.O_WRONLY)  # or it would end with each process
        self._rest = b""
        self._more = asyncio.Event()

    @classmethod
    @contextmanager
    def at(cls, path: Path) -> Iterator[Self]:
        log = cls(path)
        loop = asyncio.get_running_loop()
        loop.add_reader(log._reader, log._read)
        try:
            yield log
        finally:
            loop.remove_reader(log._reader)
            os.close(log._reader)
            os.close(log._writer)

    async def grow(self, count: int, word: str | None = None) -> None:
        """Wait until there are *count* lines more, and then for the next that begins with *word*."""
        here = len(self.lines) + count
        async with asyncio.timeout(DEADLINE_S):
            while len(self.lines) < here or (word is not None and all(line[0] != word for line in self.lines[here:])):
                assert not self.over, self.over
                self._more.clear()
                await self._more.wait()

    def end(self, why: str) -> None:
        """No more comes."""
        self.over = why
        self._more.set()

    def drain(self) -> None:
        """Read all that was written."""
        while self._read():
            pass

    def _read(self) -> bool:
        try:
            *lines, self._rest = (self._rest + os.read(self._reader, 1 << 16)).split(b"\n")
        except BlockingIOError:
            return False
        self.lines += map(json.loads, lines)
        self._more.set()
        return True


@dataclass
class Truth:
    """What the exchange knows of alice.

    Attributes:
        history: her transactions, id and JSON.
        received: what she sent, in order; ``None`` where the exchange does not keep it.
    """

    history: list[tuple[int, str]]
    received: list[Asked] | None = None

    @classmethod
    def of(cls, exchange: Exchange) -> Truth:
        record = exchange.venue.client("alice")
        assert record is not None
        return cls([(each.transaction_id, each.payload.decode()) for each in record.history])

    @classmethod
    def in_journal(cls, path: Path) -> Truth:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            rows = db.execute(
                "SELECT sequence, command FROM commands JOIN clients USING (client) "
                "WHERE client_id = 'alice' AND sequence IS NOT NULL ORDER BY number"
            ).fetchall()
        assert [sequence for sequence, _ in rows] == list(range(1, len(rows) + 1)), "a message counted twice, or not"
        history = [(number, payload.decode()) for number, _, payload in recorded(path, "alice")]
        return cls(history, [_asked(command) for _, command in rows])

    @property
    def ids(self) -> list[int]:
        return [number for number, _ in self.history]

    def told(self, kind: Any) -> list[Any]:
        return [message for _, payload in self.history if isinstance(message := decode(payload.encode()), kind)]


def _asked(text: str | None) -> Asked:
    assert text is not None, "a message that could not be decoded"
    command = decode_command(text)
    # The exchange answers an order that it has had before with an error frame.
    assert isinstance(command, Submit), f"a message was refused with an error frame: {text}"
    message = command.message
    if isinstance(message, cp.PlaceOrder):
        return "place", message.client_order_id
    return ("cancel", message.order_id) if isinstance(message, cp.CancelOrder) else ("cancel_all", None)


class Story:
    """The lines of a log, put together over all lives; what contradicts itself fails here already.

    No message is lost from the outbox or comes back to it, and what nobody waits for any more is reported, in the order
    in which it became known.

    Attributes:
        lives: how many there were.
        asked: all that was asked for, in order.
        sent: what was about to leave, in order, once it was durable that it would.
        verdicts: what was said of each message, once by who asked or by a report, OutcomeUnknown left out.
        silent: what was known to a process that was killed before it had said so.
        unknown: of how many messages it was said that the outcome is unknown.
        reported: how many reports there were.
        poor: the orders for which there is not enough money.
        replaced: the order id of the order that each new order was to replace, by client order id.
    """

    def __init__(self, lines: list[list[Any]]) -> None:
        self.lives = 0
        self.asked: list[Asked] = []
        self.sent: list[Asked] = []
        self.verdicts: dict[Asked, list[str]] = {}
        self.silent: set[Asked] = set()
        self.unknown = 0
        self.reported = 0
        self.poor: set[int] = set()
        self.replaced: dict[int, int] = {}
        self._outbox: dict[int, Asked] = {}
        self._newest_key = 0
        self._late: dict[int, Asked] = {}  # late reports in the store, which no reader is done with
        self._repeated: set[Asked] = set()  # reported in one life, and may be again
        self._begin({}, [])
        for what, *words in lines:
            getattr(self, f"_on_{what}", lambda *_: None)(*words)
        assert lines[-1] == ["ended"]
        assert ["outbox", []] in lines, "there is something without an outcome"
        self._begin({}, [])

    def times_sent(self) -> Counter[Asked]:
        """How often each message with a number has left."""
        return Counter(asked for asked in self.sent if asked[1] is not None)

    def _begin(self, outbox: dict[int, Asked], late: list[Asked]) -> None:
        self._outbox = outbox
        self._to_report: deque[Asked] = deque(late)
        self._settling: set[int] = set()
        self._settled: set[Asked] = set()
        self._waiting: list[Asked] = []

    def _on_started(self, entries: list[tuple[int, str, int | None]], late: list[tuple[int, str, int | None]]) -> None:
        self.lives += 1
        self.silent.update(asked for asked in self._waiting if asked in self._settled)
        outbox = {key: (kind, number) for key, kind, number in entries}
        assert self._outbox.keys() - outbox.keys() <= self._settling, "a message was lost from the outbox"
        # What is new was put there by a process that was killed before it could say so.
        assert all(key > self._newest_key for key in outbox.keys() - self._outbox.keys()), "one came back"
        self._newest_key = max(self._newest_key, *outbox, 0)
        stored = {number: (kind, asked) for number, kind, asked in late}
        assert {self._late[number] for number in self._late.keys() - stored.keys()} <= self._repeated, (
            "a late report was lost"
        )
        self._late = stored
        self._begin(outbox, list(stored.values()))

    def _on_put(self, key: int, kind: str, number: int | None) -> None:
        assert key > self._newest_key
        self._newest_key = key
        self._outbox[key] = (kind, number)
        self.sent.append((kind, number))

    def _on_settling(self, key: int) -> None:
        self._settling.add(key)
        self._settled.add(self._outbox[key])

    def _on_late(self, number: int, key: int | None, kind: str, asked: int | None) -> None:
        if key is not None:
            assert self._outbox.pop(key) == (kind, asked)
        self._late[number] = (kind, asked)
        self._to_report.append((kind, asked))

    def _on_read(self, number: int) -> None:
        self._repeated.discard(self._late.pop(number))

    def _on_settled(self, key: int) -> None:
        del self._outbox[key]

    def _on_poor(self, number: int) -> None:
        self.poor.add(number)

    def _on_replacing(self, order_id: int, number: int) -> None:
        self.replaced[number] = order_id

    def _on_asking(self, kind: str, number: int | None) -> None:
        self.asked.append((kind, number))
        self._waiting.append((kind, number))

    def _on_told(self, kind: str, number: int | None, verdict: str) -> None:
        asked = (kind, number)
        self._waiting.remove(asked)
        if verdict == "StoreError":  # it could not be put into the outbox
            verdict = "RequestNotSent"
        if verdict == "OutcomeUnknown":
            self.unknown += 1
            assert asked in self._outbox.values(), "nobody will ever say what became of it"
        else:
            self.verdicts.setdefault(asked, []).append(verdict)

    def _on_reported(self, kind: str, number: int | None, verdict: str) -> None:
        asked = (kind, number)
        self.reported += 1
        assert self._to_report.popleft() == asked
        if asked in self._repeated:  # a reader had it and was killed before it asked for the next
            assert self.verdicts[asked][-1] == verdict
            return
        self._repeated.add(asked)
        self.verdicts.setdefault(asked, []).append(verdict)


def handled(path: Path) -> list[tuple[int, str]]:
    """What a client has handled, in that order."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT transaction_id, payload FROM handled ORDER BY number").fetchall()


def check_events(mode: str, folder: Path, lines: list[list[Any]], truth: Truth) -> int:
    """Each transaction was handled, in order, and again only within the window; how many were, again."""
    if mode == "transaction":
        assert handled(folder / "alice.db") == truth.history  # each once
        return 0
    place = {transaction_id: place for place, transaction_id in enumerate(truth.ids)}
    last: int | None = None
    durable, since, count = -1, 0, 0
    for what, *words in lines:
        if what == "started":
            last = None
        elif what == "flushed" and words[0] is not None:
            durable = max(durable, place[words[0]])
        elif what == "handling":
            here = place[words[0]]
            if last is None:
                # Behind what was flushed, and before or at what is new: nothing lost, and no more again than that.
                assert durable < here <= since
            else:
                assert here == last + 1
            last = here
            count += 1
            since = max(since, here + 1)
    assert since == len(truth.ids)
    table = handled(folder / "handled.db")
    assert set(table) == set(truth.history)
    assert len(truth.history) <= len(table) <= count  # none twice where it was not said
    return count - since


def check_history(folder: Path, truth: Truth) -> int:
    """What is recorded is the exchange's history up to some transaction, each event once; returns that transaction.

    It is not behind the position, and says of orders and money what the exchange says.
    """
    path = folder / "alice.db"
    with closing(sqlite3.connect(path)) as db:
        (position,) = db.execute("SELECT position FROM cryptoproto_store").fetchone()
        tables = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'cryptoproto_history'").fetchall()
    if not tables:  # killed before they were created
        assert position is None
        return -1
    reader = Reader(path)
    through = reader.recorded_through()
    assert position is None or position <= through
    told = [(number, decode(payload.encode())) for number, payload in truth.history if number <= through]
    expected = [(number, message) for number, message in told if not isinstance(message, OrderNotFound)]
    assert [(entry.transaction_id, entry.message) for entry in reader.entries()] == expected
    # The fills of a taker come before the event that reports the placement, which may not be recorded yet.
    accepted = {each.client_order_id for _, each in expected if isinstance(each, BuyOrderPlaced | cp.OwnTrade)}
    orders = [order for order in History(path).orders() if order.status not in ("pending", "not_placed")]
    assert {order.client_order_id for order in orders if order.status != "rejected"} == accepted
    assert len(orders) == len({order.order_id for order in orders})
    return through


def check_outcomes(story: Story, truth: Truth, *, is_shared: bool = False) -> None:
    """What was told of each message is true, and something was told of each.

    Behind a session that is shared, cancels of orders that are not open do not reach the exchange.
    """
    accepted = [message.client_order_id for message in truth.told(BuyOrderPlaced)]
    assert len(set(accepted)) == len(accepted), "an order was accepted twice"
    assert {("place", number) for number in accepted} <= set(story.asked)
    assert not story.poor.intersection(accepted)
    assert all(times <= 2 for times in story.times_sent().values())
    sent = set(story.sent)
    received = None if truth.received is None else set(truth.received)
    if truth.received is not None and received is not None:
        assert _is_part(truth.received, story.sent)
        twice = [each for each, times in Counter(truth.received).items() if times > 1 and each[0] != "cancel_all"]
        assert not twice, "received twice"
        assert {("place", number) for number in accepted} <= set(received)
        assert len(truth.told(InsufficientFunds)) == sum(("place", number) in received for number in story.poor)
    # Only replace() knows without the exchange that an order is not open: all of it is traded already.
    filled = {message.order_id for message in truth.told(OrderClosed)} & set(story.replaced.values())
    not_asked = {number for number in filled if ("cancel", number) not in sent}
    true = {
        ("place", "done"): set(accepted),
        ("place", "InsufficientFundsError"): story.poor,
        ("cancel", "done"): {message.order_id for message in truth.told(OrderCancelled)},
        ("cancel", "OrderNotOpen"): {message.order_id for message in truth.told(OrderNotFound)} | not_asked,
    }
    if is_shared:
        true["cancel", "OrderNotOpen"] = closed_orders(truth)
    for asked, verdicts in story.verdicts.items():
        kind, number = asked
        if kind == "cancel_all":
            continue
        assert len(verdicts) == 1, f"told more than once: {asked} {verdicts}"
        (verdict,) = verdicts
        if verdict == "RequestNotSent":
            assert asked not in (received or ())
            assert kind == "cancel" or number not in accepted
        else:
            assert number in true[kind, verdict], (asked, verdict)
            # A cancel is done, too, where another has cancelled the order meanwhile.
            known = kind == "cancel" and (verdict == "done" or number in not_asked)
            assert received is None or asked in received or known, (asked, verdict)
    for asked in set(story.asked) - set(story.verdicts) - story.silent - {("cancel_all", None)}:
        assert asked not in sent, f"nobody ever said what became of {asked}"
        assert asked not in (received or ()), f"{asked} was never about to leave"
    check_cancel_all(story, truth.received)
    check_replaced(story, truth)


def closed_orders(truth: Truth) -> set[int]:
    """The orders that were filled or cancelled."""
    inline = {message.order_id for message in truth.told(BuyOrderPlaced) if message.closed_inline}
    return inline | {message.order_id for message in truth.told(OrderCancelled | OrderClosed)}


def check_replaced(story: Story, truth: Truth) -> None:
    """A new order was placed after the old one was cancelled, or not at all."""
    ended: set[int] = set()
    for message in truth.told(BuyOrderPlaced | OrderCancelled):
        if isinstance(message, OrderCancelled):
            ended.add(message.order_id)
        elif message.client_order_id in story.replaced:
            assert story.replaced[message.client_order_id] in ended, "both were open"


def check_cancel_all(story: Story, received: list[Asked] | None) -> None:
    """They have no number of their own, so they are counted."""
    everything: Asked = ("cancel_all", None)
    told = Counter(story.verdicts.get(everything, []))
    assert set(told) <= {"done", "RequestNotSent"}
    if received is not None:
        asked = story.asked.count(everything)
        assert told["done"] <= received.count(everything) <= asked - told["RequestNotSent"]


def _is_part(part: list[Asked], whole: list[Asked]) -> bool:
    """Whether *part* is *whole* with some left out."""
    rest = iter(whole)
    return all(each in rest for each in part)
