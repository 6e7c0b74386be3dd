"""The numbers of the protocol, and the errors they stand for."""

from __future__ import annotations

import pytest

import cryptoproto as cp
from cryptoproto.wire import (
    HEARTBEAT_TEXT,
    ClientFrameType,
    CloseCode,
    ErrorType,
    Protocol,
    ServerFrameType,
    connection_closed,
    server_error,
)


def test_the_numbers_on_the_wire() -> None:
    assert {kind.name: int(kind) for kind in ClientFrameType} == {"MESSAGE": 1, "RPC_REQUEST": 2}
    assert [int(kind) for kind in ServerFrameType] == [1, 2, 3, 4, 5]
    assert {kind.name: int(kind) for kind in ErrorType} == {
        "UNKNOWN": -1,
        "DUPLICATE_CLIENT_ORDER_ID": 1,
        "INVALID_PAYLOAD": 2,
        "TRADES_DISABLED": 3,
    }
    assert (Protocol.SIGNED.version, Protocol.V5.version) == (None, 5)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1012, cp.ServerRestart),
        (4000, cp.ConcurrentConnection),
        (4001, cp.InvalidSequence),
        (4009, cp.RateLimited),
        (CloseCode.NORMAL, cp.ConnectionClosed),
        (4444, cp.ConnectionClosed),
        (None, cp.ConnectionClosed),
    ],
)
def test_the_error_for_a_close_code(code: int | None, kind: type[cp.ConnectionClosed]) -> None:
    error = connection_closed(code, "because")
    assert type(error) is kind
    assert (error.code, error.reason) == (code, "because")


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (-1, cp.UnknownServerError),
        (1, cp.DuplicateClientOrderId),
        (2, cp.InvalidPayload),
        (3, cp.TradesDisabled),
        (0, cp.UnknownServerError),
        (99, cp.UnknownServerError),
    ],
)
def test_the_error_for_an_error_frame(number: int, kind: type[cp.ServerError]) -> None:
    error = server_error(number, "some text")
    assert isinstance(error, cp.ServerError)
    assert type(error) is kind
    assert (error.error_type, error.text) == (number, "some text")


def test_the_error_frame_that_means_a_missed_heartbeat() -> None:
    assert HEARTBEAT_TEXT == "TimeoutError()"
    assert isinstance(server_error(-1, HEARTBEAT_TEXT), cp.HeartbeatTimeout)
