"""Errors as plain values."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.client.error_row import ErrorRow
from cryptoproto.exceptions import GatewayError


@pytest.mark.parametrize(
    "error",
    [
        cp.RequestNotSent("not connected"),
        cp.OutcomeUnknown("no answer"),
        cp.OrderInvalid("too many digits"),
        cp.OrderNotOpen("order 3 is not open"),
        cp.ClientClosed("closed"),
        cp.RequestTimeout("no response"),
        cp.ConfigurationError("no"),
        GatewayError("NATS is gone"),
        cp.InvalidPayload(2, "amount is missing"),
        cp.InsufficientFundsError("USD", 7),
        cp.ConnectionClosed(None, "lost"),
        cp.ConnectionClosed(1011, "internal error"),
        cp.RateLimited(4009, "too fast"),
        cp.ServerRestart(1012, ""),
        cp.ConnectError(None, "nobody answers"),
        cp.HeartbeatTimeout(None, "nothing was received"),
        cp.SlowConsumer(None, "the queue is full"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives(error: cp.CryptoprotoError) -> None:
    error.sent = True
    restored = ErrorRow.of(error).restored()
    assert restored is not None
    assert (type(restored), str(restored), restored.sent) == (type(error), str(error), True)
    assert vars(restored) == vars(error)


def test_an_outcome_that_nobody_will_know_stays_so() -> None:
    error = cp.OutcomeUnknown("its answer was skipped")
    error.is_final = True
    restored = ErrorRow.of(error).restored()
    assert isinstance(restored, cp.OutcomeUnknown)
    assert restored.is_final
    assert ErrorRow.of(cp.OutcomeUnknown("no answer")) == ErrorRow("OutcomeUnknown", "no answer", sent=True)


def test_a_rewound_history_says_the_same() -> None:
    for error in (cp.HistoryRewound(8, 5), cp.HistoryRewound(8, 8, "order", "delete the streams")):
        restored = ErrorRow.of(error).restored()
        assert isinstance(restored, cp.HistoryRewound)
        assert restored.args == error.args
        assert str(restored) == str(error)


def test_no_error_stays_none() -> None:
    assert ErrorRow.of(None) == ErrorRow()
    assert ErrorRow().restored() is None


def test_an_error_of_a_later_version_is_any_error() -> None:
    restored = ErrorRow("SomethingNew", "what happened").restored()
    assert type(restored) is cp.CryptoprotoError
    assert str(restored) == "what happened"
