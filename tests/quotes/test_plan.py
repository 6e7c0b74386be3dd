"""Plans against a naive model: the fewest messages, and never more open than wanted, whatever becomes of each."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cryptoproto import Instrument, Side
from cryptoproto.quotes.levels import Granularity, Ladder, QuoteLevel, crosses
from cryptoproto.quotes.plan import Certainty, OpenQuote, Plan, limited, make_plan
from tests.support.quoting import BUY, SELL, ladders, open_quote

BTC_USD = Instrument("BTC_USD")
EXACTLY = Granularity(BTC_USD)
OPEN, UNCERTAIN, CANCELLING = Certainty.OPEN, Certainty.UNCERTAIN, Certainty.CANCELLING


def keys(quotes: list[OpenQuote]) -> list[object]:
    return [quote.key for quote in quotes]


def level(side: Side, price: str, amount: str) -> QuoteLevel:
    return QuoteLevel(side, Decimal(price), Decimal(amount))


def test_an_order_that_is_wanted_as_it_is_stays() -> None:
    plan = make_plan(
        ladders({"100": "1"}, {"101": "2"}), [open_quote(1, BUY, "100", "1"), open_quote(2, SELL, "101", "2")], EXACTLY
    )
    assert plan == Plan([open_quote(1, BUY, "100", "1"), open_quote(2, SELL, "101", "2")], [], [], [])


def test_a_level_moves_after_its_old_order_is_gone() -> None:
    old = open_quote(1, BUY, "100", "1")
    plan = make_plan(ladders({"101": "1"}), [old], EXACTLY)
    assert plan == Plan([], [old], [], [level(BUY, "101", "1")])
    assert make_plan(ladders({"101": "1"}), [], EXACTLY).place == [level(BUY, "101", "1")]


def test_what_is_filled_is_made_up_beside_the_rest() -> None:
    plan = make_plan(ladders({"100": "1"}), [open_quote(1, BUY, "100", "0.4")], EXACTLY)
    assert (keys(plan.keep), plan.cancel, plan.place) == ([1], [], [level(BUY, "100", "0.6")])


def test_fills_that_are_not_made_up() -> None:
    plan = make_plan(ladders({"100": "1"}), [open_quote(1, BUY, "100", "0.4", counts="1")], EXACTLY)
    assert plan == Plan([open_quote(1, BUY, "100", "0.4", counts="1")], [], [], [])


def test_an_order_of_a_larger_amount_stands_for_a_smaller_one_that_covers_what_is_left() -> None:
    """As when the limits of the inventory follow the fills."""
    for wanted in ("0.7", "0.4"):
        plan = make_plan(ladders({"100": wanted}), [open_quote(1, BUY, "100", "0.4", counts="1")], EXACTLY)
        assert (keys(plan.keep), plan.cancel, plan.place) == ([1], [], [])
    assert keys(make_plan(ladders({"100": "0.3"}), [open_quote(1, BUY, "100", "0.4", counts="1")], EXACTLY).cancel) == [
        1
    ]


def test_an_ask_waits_for_the_bid_that_it_would_meet() -> None:
    bid = open_quote(1, BUY, "100", "1")
    plan = make_plan(ladders({"98": "2"}, {"99": "1", "101": "1"}), [bid], EXACTLY)
    assert plan.cancel == [bid]
    assert plan.place == [level(SELL, "101", "1")]
    assert plan.waiting == [level(BUY, "98", "2"), level(SELL, "99", "1")]


@pytest.mark.parametrize("certainty", [UNCERTAIN, CANCELLING])
def test_what_has_no_answer_is_in_the_way(certainty: Certainty) -> None:
    plan = make_plan(ladders({"101": "1"}), [open_quote(1, BUY, "100", "1", certainty)], EXACTLY)
    assert plan == Plan([], [], [], [level(BUY, "101", "1")])


def test_an_order_without_an_answer_is_not_doubled() -> None:
    unknown = open_quote(1, BUY, "100", "1", UNCERTAIN)
    assert make_plan(ladders({"100": "1"}), [unknown], EXACTLY) == Plan([], [], [], [])
    assert make_plan(ladders({"100": "3"}), [unknown], EXACTLY).place == [level(BUY, "100", "2")]


def test_a_level_is_renewed_after_its_cancel_is_answered() -> None:
    going = open_quote(1, BUY, "100", "1", CANCELLING)
    assert make_plan(ladders({"100": "1"}), [going], EXACTLY).waiting == [level(BUY, "100", "1")]


def test_the_older_one_of_two_equal_orders_is_kept() -> None:
    plan = make_plan(ladders({"100": "1"}), [open_quote(1, BUY, "100", "1"), open_quote(2, BUY, "100", "1")], EXACTLY)
    assert (keys(plan.keep), keys(plan.cancel)) == ([1], [2])


def test_a_choice_that_needs_no_order_beside_it_goes_first() -> None:
    quotes = [open_quote(1, BUY, "100", "0.3"), open_quote(2, BUY, "100", "1")]
    plan = make_plan(ladders({"100": "1"}), quotes, EXACTLY)
    assert (keys(plan.keep), keys(plan.cancel), plan.place + plan.waiting) == ([2], [1], [])


def test_of_very_many_orders_at_one_price_the_smallest_are_kept() -> None:
    quotes = [open_quote(number, BUY, "100", str(number)) for number in range(1, 15)]
    plan = make_plan(ladders({"100": "30"}), quotes, EXACTLY)
    assert (keys(plan.keep), plan.waiting) == ([1, 2, 3, 4, 5, 6, 7], [level(BUY, "100", "2")])


def test_a_tolerance_is_for_what_is_missing_only() -> None:
    about = Granularity(BTC_USD, Decimal("0.1"))
    for remaining, kept in (("1", True), ("0.9", True), ("1.01", False)):
        quote = open_quote(1, BUY, "100", remaining)
        plan = make_plan(ladders({"100": "1"}), [quote], about)
        assert (bool(plan.keep), bool(plan.cancel), bool(plan.place + plan.waiting)) == (kept, not kept, not kept)
    short = make_plan(ladders({"100": "1"}), [open_quote(1, BUY, "100", "0.8")], about)
    assert (keys(short.keep), short.place) == ([1], [level(BUY, "100", "0.2")])


def test_limits_cut_the_worst_levels() -> None:
    levels = ladders({"100": "1", "99": "1", "98": "1"})[BUY]
    for room, left in ((None, ["1", "1", "1"]), ("3", ["1", "1", "1"]), ("1.5", ["1", "0.5"]), ("0", []), ("-2", [])):
        kept = limited(levels, None if room is None else Decimal(room), EXACTLY)
        assert list(kept.values()) == [Decimal(amount) for amount in left]


# Against a naive model

AMOUNTS = st.integers(1, 4).map(Decimal)
BIDS = st.dictionaries(st.sampled_from([Decimal(96 + n) for n in range(4)]), AMOUNTS, max_size=3)
ASKS = st.dictionaries(st.sampled_from([Decimal(100 + n) for n in range(4)]), AMOUNTS, max_size=3)
# Earlier quotes were around another middle, so they may cross the wanted ones.
OPEN_ORDERS = st.lists(st.tuples(st.sampled_from(Side), st.integers(96, 103).map(Decimal), AMOUNTS), max_size=5)


def one_sided(orders: list[tuple[Side, Decimal, Decimal]]) -> list[tuple[Side, Decimal, Decimal]]:
    """Without asks at or below a bid: no two open orders of one client meet."""
    best_bid = max((price for side, price, _ in orders if side is BUY), default=Decimal(0))
    return [order for order in orders if order[0] is BUY or order[1] > best_bid]


def sides(bids: Ladder, asks: Ladder) -> dict[Side, Ladder]:
    return {BUY: dict(sorted(bids.items(), reverse=True)), SELL: dict(sorted(asks.items()))}


@dataclass
class Book:
    """What is really open at the exchange, and what the client knows of it."""

    orders: dict[int, tuple[Side, Decimal, Decimal]]
    placing: dict[int, QuoteLevel] = field(default_factory=dict)  # sent, and not answered
    cancelling: set[int] = field(default_factory=set)
    unseen: dict[int, Decimal] = field(default_factory=dict)  # fills that no event has told of
    next_number: int = 1_000

    def at(self, side: Side, price: Decimal | None = None) -> Decimal:
        return sum((a for s, p, a in self.orders.values() if s is side and price in (None, p)), Decimal(0))

    def view(self) -> list[OpenQuote]:
        quotes = []
        for number in sorted({*self.orders, *self.unseen} - self.placing.keys()):
            if number in self.orders:
                side, price, amount = self.orders[number]
            else:
                continue
            known = amount + self.unseen.get(number, Decimal(0))
            certainty = CANCELLING if number in self.cancelling else OPEN
            quotes.append(OpenQuote(number, side, price, known, known, certainty))
        for number, each in self.placing.items():
            quotes.append(OpenQuote(number, each.side, each.price, each.amount, each.amount, UNCERTAIN))
        return quotes


def naive_fewest(wanted: dict[Side, Ladder], orders: list[tuple[Side, Decimal, Decimal]]) -> int:
    """The fewest messages, by trying every choice of orders to cancel; what is missing at a price is one order."""
    fewest = len(orders) + sum(len(levels) for levels in wanted.values())
    for count in range(len(orders) + 1):
        for cancelled in itertools.combinations(range(len(orders)), count):
            left: dict[tuple[Side, Decimal], Decimal] = {}
            for number, (side, price, amount) in enumerate(orders):
                if number not in cancelled:
                    left[side, price] = left.get((side, price), Decimal(0)) + amount
            if any(amount > wanted[side].get(price, Decimal(0)) for (side, price), amount in left.items()):
                continue
            places = sum(
                left.get((side, price), Decimal(0)) < amount for side in Side for price, amount in wanted[side].items()
            )
            fewest = min(fewest, count + places)
    return fewest


@settings(max_examples=400, deadline=None)
@given(bids=BIDS, asks=ASKS, orders=OPEN_ORDERS.map(one_sided))
def test_the_fewest_messages_lead_to_what_is_wanted(
    bids: Ladder, asks: Ladder, orders: list[tuple[Side, Decimal, Decimal]]
) -> None:
    wanted = sides(bids, asks)
    book = Book(dict(enumerate(orders)))
    sent = 0
    while True:
        plan = make_plan(wanted, book.view(), EXACTLY)
        if not plan.cancel and not plan.place:
            break
        for quote in plan.cancel:
            assert isinstance(quote.key, int)
            del book.orders[quote.key]
        for each in plan.place:
            book.next_number += 1
            book.orders[book.next_number] = (each.side, each.price, each.amount)
        sent += len(plan.cancel) + len(plan.place)
    assert plan.waiting == []
    for side in Side:
        prices = {price for s, price, _ in book.orders.values() if s is side}
        assert {price: book.at(side, price) for price in prices} == wanted[side]
    assert sent == naive_fewest(wanted, orders)


@settings(max_examples=200, deadline=None)
@given(
    bids=BIDS, asks=ASKS, orders=OPEN_ORDERS.map(one_sided), tolerance=st.integers(0, 2).map(Decimal),
    least=st.integers(1, 3).map(Decimal), stands_for=st.lists(st.integers(0, 2).map(Decimal), min_size=5, max_size=5),
)  # fmt: skip
def test_what_is_missing_at_the_end_is_negligible(
    bids: Ladder,
    asks: Ladder,
    orders: list[tuple[Side, Decimal, Decimal]],
    tolerance: Decimal,
    least: Decimal,
    stands_for: list[Decimal],
) -> None:
    """With a tolerance, with amounts that are too small to be placed, and with fills that are not made up."""
    wanted = sides(bids, asks)
    granularity = Granularity(Instrument("BTC_USD", min_amount=least), tolerance)
    quotes = [
        OpenQuote(number, side, price, amount, amount + more)
        for number, ((side, price, amount), more) in enumerate(zip(orders, stands_for, strict=False))
    ]
    while (plan := make_plan(wanted, quotes, granularity)).cancel or plan.place:
        gone = {quote.key for quote in plan.cancel}
        quotes = [quote for quote in quotes if quote.key not in gone]
        quotes += [OpenQuote(object(), each.side, each.price, each.amount, each.amount) for each in plan.place]
        assert all(each.amount >= least for each in plan.place)
    assert plan.waiting == []
    for side in Side:
        for price in {quote.price for quote in quotes if quote.side is side} | wanted[side].keys():
            there = [quote for quote in quotes if quote.side is side and quote.price == price]
            amount = wanted[side].get(price, Decimal(0))
            assert sum(quote.remaining for quote in there) <= amount
            counted = sum(max(quote.remaining, min(quote.counts, amount)) for quote in there)
            assert amount - counted <= max(tolerance, least - 1)


class Run:
    """One run of the planner, with whatever happens at the exchange between any two of its steps."""

    def __init__(self, draw: Callable[[int], int], wanted: dict[Side, Ladder], book: Book) -> None:
        self.draw = draw
        self.wanted = wanted
        self.book = book

    def send(self, plan: Plan) -> None:
        """Send some of the plan; all of it may be sent, in any order, before anything else is known."""
        book = self.book
        for quote in plan.cancel:
            if self.draw(3):
                assert isinstance(quote.key, int)
                assert quote.key not in book.cancelling
                book.cancelling.add(quote.key)
        for each in plan.place:
            if self.draw(3):
                book.next_number += 1
                book.placing[book.next_number] = each

    def happen(self) -> None:
        """One thing happens: a message arrives or is lost, or somebody trades."""
        book = self.book
        what = self.draw(5)
        if what == 0 and book.placing:
            self.arrive(list(book.placing)[self.draw(len(book.placing) - 1)])
        elif what == 1 and book.placing:  # rejected, or never received
            number = list(book.placing)[self.draw(len(book.placing) - 1)]
            if number not in book.orders:
                del book.placing[number]
        elif what == 2 and book.placing:  # its answer arrives
            number = list(book.placing)[self.draw(len(book.placing) - 1)]
            if number in book.orders:
                del book.placing[number]
        elif what == 3 and book.cancelling:  # it takes effect, or is lost
            number = list(book.cancelling)[self.draw(len(book.cancelling) - 1)]
            book.cancelling.discard(number)
            if self.draw(2):
                book.orders.pop(number, None)
                book.unseen.pop(number, None)
        elif what == 4 and book.orders:  # a fill, of which the client may not know yet
            number = list(book.orders)[self.draw(len(book.orders) - 1)]
            side, price, amount = book.orders[number]
            filled = min(amount, Decimal(self.draw(2) + 1) / 2)
            if filled == amount:
                del book.orders[number]
                book.unseen.pop(number, None)
                book.cancelling.discard(number)
                book.placing.pop(number, None)
            else:
                book.orders[number] = (side, price, amount - filled)
                if self.draw(1):
                    book.unseen[number] = book.unseen.get(number, Decimal(0)) + filled
        elif what == 5:
            book.unseen.clear()

    def arrive(self, number: int) -> None:
        book = self.book
        each = book.placing[number]
        if number in book.orders or number in book.unseen:
            return
        others = [(s, p) for s, p, _ in book.orders.values() if s is not each.side]
        assert not any(crosses(each.side, each.price, price) for _, price in others), "it meets an own order"
        before = book.at(each.side, each.price), book.at(each.side)
        book.orders[number] = (each.side, each.price, each.amount)
        assert before[0] + each.amount <= self.wanted[each.side][each.price]
        assert before[1] + each.amount <= sum(self.wanted[each.side].values())


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), bids=BIDS, asks=ASKS, orders=OPEN_ORDERS.map(one_sided))
def test_never_more_than_wanted_whatever_the_outcomes(
    data: st.DataObject, bids: Ladder, asks: Ladder, orders: list[tuple[Side, Decimal, Decimal]]
) -> None:
    run = Run(lambda most: data.draw(st.integers(0, most)), sides(bids, asks), Book(dict(enumerate(orders))))
    for _ in range(data.draw(st.integers(1, 12))):
        run.send(make_plan(run.wanted, run.book.view(), EXACTLY))
        for _ in range(data.draw(st.integers(0, 3))):
            run.happen()
