"""The frames of one read become events and what is between them, in order, up to the first that cannot be accepted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.connection import arrivals
from cryptoproto.connection.arrivals import event_of, in_lists, one_by_one
from cryptoproto.wire import BroadcastFrame, ClientSession, ResponseFrame, ServerSession, TransactionFrame
from tests.support.peer import changed
from tests.support.wire_oracle import sessions

BOTH = pytest.mark.parametrize("read", [in_lists, one_by_one])


@pytest.fixture
def ends() -> tuple[ClientSession, ServerSession]:
    return sessions(cp.Protocol.V5)


def events_of(server: ServerSession, *numbers: int) -> list[bytes]:
    return [server.transaction(number, 1.0, changed(number)) for number in numbers]


def shown(items: Iterator[Any]) -> list[Any]:
    """Lists of transaction ids, and other frames; at the end the error, if one was raised."""
    found: list[Any] = []
    try:
        for item in items:
            found.append([each.transaction_id for each in item] if isinstance(item, list) else item)  # noqa: PERF401
    except cp.CryptoprotoError as error:
        found.append(type(error))
    return found


def test_an_event_has_what_its_frame_had() -> None:
    frame = TransactionFrame(7, 1.5, changed(3))
    assert event_of(frame, 99) == cp.Event(7, 1.5, cp.OrderNotFound(3), 99, changed(3))
    news = event_of(BroadcastFrame(b'{"@type":"News"}'), 99)
    assert (news.transaction_id, news.timestamp, news.received_ns) == (None, None, 99)
    assert news.payload == {"@type": "News"}


def test_other_frames_part_the_lists(ends: tuple[ClientSession, ServerSession]) -> None:
    client, server = ends
    frames = [
        server.response(1, b"{}"), *events_of(server, 1, 2), server.broadcast(b'{"@type":"News"}'),
        server.response(2, b"{}"), server.response(3, b"{}"), *events_of(server, 3),
    ]  # fmt: skip
    responses = [ResponseFrame(number, b"{}") for number in (1, 2, 3)]
    assert shown(in_lists(client, frames, 5)) == [responses[0], [1, 2, None], *responses[1:], [3]]


def test_one_by_one(ends: tuple[ClientSession, ServerSession]) -> None:
    client, server = ends
    frames = [*events_of(server, 1, 2), server.response(1, b"{}"), server.broadcast(b'{"@type":"News"}')]
    assert shown(one_by_one(client, frames, 5)) == [[1], [2], ResponseFrame(1, b"{}"), [None]]


@BOTH
def test_a_read_of_many_steps(read: Any, ends: tuple[ClientSession, ServerSession]) -> None:
    client, server = ends
    numbers = list(range(1, 2 * arrivals._STEP + 10))
    found = shown(read(client, events_of(server, *numbers), 5))
    assert [number for part in found for number in part] == numbers
    assert len(found) == (1 if read is in_lists else len(numbers))


@BOTH
@pytest.mark.parametrize("fault", ["frame", "json", "broadcast", "rewound"])
@pytest.mark.parametrize("before", [0, 1, arrivals._STEP])
def test_what_comes_before_a_fault_comes_before_its_error(
    read: Any, fault: str, before: int, ends: tuple[ClientSession, ServerSession]
) -> None:
    client, server = ends
    frames = [server.response(1, b"{}"), *events_of(server, *range(1, before + 1))]
    error: type[cp.CryptoprotoError] = cp.DecodeError
    if fault == "frame":
        frames.append(bytes(64))
    elif fault == "json":
        frames.append(server.transaction(before + 1, 1.0, b"{"))
    elif fault == "broadcast":
        frames.append(server.broadcast(b"{"))
    else:
        frames += events_of(server, 0)
        error = cp.HistoryRewound
    frames += events_of(server, 9999)
    found = shown(read(client, frames, 5))
    assert found[0] == ResponseFrame(1, b"{}")
    assert found[-1] is error
    assert [number for part in found[1:-1] for number in part] == list(range(1, before + 1))


def test_the_next_event_is_not_decoded_before_it_is_asked_for(ends: tuple[ClientSession, ServerSession]) -> None:
    client, server = ends
    malformed = server.transaction(2, 1.0, b"{")
    coming = one_by_one(client, [*events_of(server, 1), malformed], 5)
    assert isinstance(next(coming), list)
    with pytest.raises(cp.DecodeError):
        next(coming)
