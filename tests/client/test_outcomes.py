"""What each message of the exchange settles: a table of cases, and a property test against a naive model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cryptoproto as cp
from cryptoproto.client.outcomes import ANSWERS, Kind, Outcomes, Pending
from cryptoproto.messages import decode


def order(kind: str, **fields: Any) -> Any:
    parts = {"trade_pair": "BTC_USD", "time": [1, 2]} | fields
    text = ",".join(f'"{name}":{value!r}'.replace("'", '"').replace("None", "null") for name, value in parts.items())
    return decode(f'{{"@type":"{kind}",{text}}}'.encode())


def placed(number: int | None, side: str = "Buy") -> Any:
    terms = {"price": "1", "initial_amount": "1", "amount": "1"}
    message = order(f"{side}OrderPlaced", order_id=100, client_order_id=number, **terms)
    assert isinstance(message, cp.OrderPlaced)
    return message


def cancelled(order_id: int, side: str = "Buy") -> Any:
    return order(f"{side}OrderCancelled", order_id=order_id, client_order_id=None)


PLACE_1 = Pending(kind=Kind.PLACE, client_order_id=1)
PLACE_2 = Pending(kind=Kind.PLACE, client_order_id=2)
CANCEL_7 = Pending(kind=Kind.CANCEL, order_id=7)
CANCEL_7_AGAIN = Pending(kind=Kind.CANCEL, order_id=7)
CANCEL_1 = Pending(kind=Kind.CANCEL, order_id=1)
CANCEL_ALL = Pending(kind=Kind.CANCEL_ALL)
ALL = (PLACE_1, CANCEL_7, PLACE_2, CANCEL_7_AGAIN, CANCEL_1, CANCEL_ALL)


def sent(*pending: Pending) -> dict[Pending, None]:
    """They were sent in this order, with sequences from 1."""
    for sequence, one in enumerate(pending, 1):
        one.sequence = sequence
    return dict.fromkeys(pending)


@pytest.mark.parametrize(
    ("message", "settled", "error"),
    [
        (placed(1), PLACE_1, None),
        (placed(2, "Sell"), PLACE_2, None),
        (placed(3), None, None),
        (placed(None), None, None),
        (placed(7), None, None),  # a client order id, not the order id that a cancel names
        (cp.InsufficientFunds(9, "USD"), PLACE_1, cp.InsufficientFundsError),
        (cancelled(7), CANCEL_7, None),
        (cancelled(1, "Sell"), CANCEL_1, None),
        (cancelled(2), None, None),
        (cp.OrderNotFound(7), CANCEL_7, cp.OrderNotOpen),
        (cp.OrderNotFound(2), None, None),
        (cp.TradesDisabledOnPairs(["BTC_USD"]), None, None),
        (decode(b'{"@type":"Novelty"}'), None, None),
    ],
)
def test_what_a_message_settles(message: Any, settled: Pending | None, error: type[Exception] | None) -> None:
    unanswered = sent(*ALL)
    outcomes = Outcomes(unanswered)
    found = outcomes.apply(message)
    assert [each.pending for each in found] == ([] if settled is None else [settled])
    assert [type(each.error) for each in found] == ([] if settled is None else [error or type(None)])
    assert list(unanswered) == list(ALL), "nothing changes until the outcome is stored"
    assert (type(message) in ANSWERS) or not found
    for each in found:
        del unanswered[each.pending]
        assert [again.pending for again in outcomes.apply(message)] != [each.pending], (
            "a repeated answer finds the next"
        )


def test_a_lack_of_funds_names_what_lacks() -> None:
    (settled,) = Outcomes(sent(PLACE_1)).apply(cp.InsufficientFunds(9, "USD"))
    assert isinstance(settled.error, cp.InsufficientFundsError)
    assert (settled.error.currency, settled.error.order_id) == ("USD", 9)


def test_what_the_exchange_has_not_received() -> None:
    outcomes = Outcomes(sent(*ALL))
    assert outcomes.not_received(2) == list(ALL[2:])
    assert outcomes.not_received(6) == []
    PLACE_1.sequence = None
    assert outcomes.not_received(6) == [PLACE_1], "taken over from an earlier process that had not sent it"


@pytest.mark.parametrize(
    ("error", "complete", "verdicts"),
    [
        (None, True, [cp.OrderRejected, cp.OrderRejected, cp.OrderRejected]),
        (cp.ConnectionClosed(None, "lost"), True, [cp.OrderRejected, cp.OrderRejected, cp.OrderRejected]),
        (cp.InvalidPayload(2, "no"), True, [cp.OrderRejected, cp.OrderRejected, cp.InvalidPayload]),
        (None, False, [cp.OutcomeUnknown, cp.OutcomeUnknown, cp.OutcomeUnknown]),
        (cp.InvalidPayload(2, "no"), False, [cp.OutcomeUnknown, cp.OutcomeUnknown, cp.InvalidPayload]),
    ],
)
def test_what_is_settled_when_everything_was_replayed(
    error: cp.CryptoprotoError | None, complete: bool, verdicts: list[type[Exception]]
) -> None:
    """An error frame answers the last message that the exchange has seen; events have answered the others."""
    unanswered = sent(PLACE_1, CANCEL_7, PLACE_2, CANCEL_1)
    settled = Outcomes(unanswered).caught_up(3, error, complete=complete)
    assert [each.pending for each in settled] == [PLACE_1, CANCEL_7, PLACE_2]
    assert [type(each.error) for each in settled] == verdicts
    unknown = [each.error for each in settled if isinstance(each.error, cp.OutcomeUnknown)]
    assert all(each.sent and each.is_final for each in unknown)
    texts = {str(each.error) for each in settled if isinstance(each.error, cp.OutcomeUnknown | cp.OrderRejected)}
    assert texts <= {
        "the exchange received it; its answer was among events that were not requested",
        "the exchange refused it; the reason was lost with the connection",
    }
    assert len(unanswered) == 4


def test_a_cancel_that_fails_names_its_order() -> None:
    (settled,) = Outcomes(sent(CANCEL_7)).apply(cp.OrderNotFound(7))
    assert str(settled.error) == "order 7 is not open"


def test_cancel_all_is_settled_by_having_been_received() -> None:
    (settled,) = Outcomes(sent(CANCEL_ALL)).caught_up(1, cp.InvalidPayload(2, "no"), complete=True)
    assert settled.error is None


NUMBERS = st.integers(1, 4)
STEPS = st.one_of(
    st.tuples(st.just("place"), NUMBERS),
    st.tuples(st.just("cancel"), NUMBERS),
    st.tuples(st.just("accepted"), NUMBERS),
    st.tuples(st.just("poor"), NUMBERS),
    st.tuples(st.just("cancelled"), NUMBERS),
    st.tuples(st.just("not open"), NUMBERS),
    st.tuples(st.just("lost"), NUMBERS),
)
ANSWERED_BY: dict[str, tuple[Callable[[int], Any], Kind, bool]] = {
    "accepted": (placed, Kind.PLACE, True),
    "poor": (lambda number: cp.InsufficientFunds(number, "USD"), Kind.PLACE, False),
    "cancelled": (cancelled, Kind.CANCEL, True),
    "not open": (cp.OrderNotFound, Kind.CANCEL, True),
}


@given(steps=st.lists(STEPS, max_size=40))
@settings(max_examples=200, deadline=None)
def test_against_a_list_that_is_searched_from_the_front(steps: list[tuple[str, int]]) -> None:
    unanswered: dict[Pending, None] = {}
    outcomes = Outcomes(unanswered)
    model: list[tuple[Kind, int, Pending]] = []
    sequence = 0
    for what, number in steps:
        if what in ("place", "cancel"):
            sequence += 1
            kind = Kind(what)
            about = {"client_order_id" if kind is Kind.PLACE else "order_id": number}
            pending = Pending(kind=kind, sequence=sequence, **about)
            unanswered[pending] = None
            model.append((kind, number, pending))
        elif what == "lost":
            seen = sequence - number
            lost = [entry for entry in model if (entry[2].sequence or 0) > seen]
            assert outcomes.not_received(seen) == [pending for _, _, pending in lost]
            for entry in lost:
                del unanswered[entry[2]]
                model.remove(entry)
        else:
            make, kind, names_it = ANSWERED_BY[what]
            fits = [entry for entry in model if entry[0] is kind and (not names_it or entry[1] == number)]
            settled = outcomes.apply(make(number))
            assert [each.pending for each in settled] == [pending for _, _, pending in fits[:1]]
            for each in settled:
                del unanswered[each.pending]
                model.remove(fits[0])
        assert list(unanswered) == [pending for _, _, pending in model]
