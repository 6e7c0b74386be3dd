"""What the frames of one read are: events, and what comes between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from ..exceptions import DecodeError
from ..messages import decode
from ..wire import BroadcastFrame, ClientSession, Opened, ServerFrame, TransactionFrame
from .event import Event

__all__ = ["event_of", "in_lists", "one_by_one"]

Arrivals: TypeAlias = Iterator[list[Event] | ServerFrame | Opened]

_STEP: Final = 128
"""How many frames are decoded together: those of a full read would not stay in the processor's caches."""


def event_of(frame: TransactionFrame | BroadcastFrame, received_ns: int) -> Event:
    """The event in *frame*, which was read at *received_ns*, in unix nanoseconds.

    Raises:
        DecodeError: its JSON is malformed.
    """
    payload = frame.payload
    if type(frame) is TransactionFrame:
        return Event(frame.transaction_id, frame.timestamp, decode(payload), received_ns, payload)
    return Event(None, None, decode(payload), received_ns, payload)


def in_lists(session: ClientSession, frames: list[bytes], received_ns: int) -> Arrivals:
    """The other frames of one read, and the events before, between and after them as lists.

    Raises:
        HandshakeError, DecodeError, HistoryRewound: a frame cannot be accepted. What came before it has been returned.
    """
    events: list[Event] = []
    for start in range(0, len(frames), _STEP):
        received, fault = session.receive_all(frames[start : start + _STEP])
        for frame in received:
            try:
                if type(frame) is TransactionFrame:  # as event_of(), without its call for each event
                    payload = frame.payload
                    events.append(Event(frame.transaction_id, frame.timestamp, decode(payload), received_ns, payload))
                    continue
                if type(frame) is BroadcastFrame:
                    events.append(event_of(frame, received_ns))
                    continue
            except DecodeError as error:
                fault = error
                break
            if events:
                yield events
                events = []
            yield frame
        if fault is not None:
            if events:
                yield events
            raise fault
    if events:
        yield events


def one_by_one(session: ClientSession, frames: list[bytes], received_ns: int) -> Arrivals:
    """As :func:`in_lists`, but each event comes alone, before the JSON of the next one is decoded."""
    for start in range(0, len(frames), _STEP):
        received, fault = session.receive_all(frames[start : start + _STEP])
        for frame in received:
            if isinstance(frame, TransactionFrame | BroadcastFrame):
                yield [event_of(frame, received_ns)]
            else:
                yield frame
        if fault is not None:
            raise fault
