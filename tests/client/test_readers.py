"""Readers of a client's events: each says who it is when it begins, and for each item."""

from __future__ import annotations

from typing import Any

from cryptoproto.client.readers import EventBatches, EventStream


async def test_a_reader_claims_the_events_when_the_loop_begins() -> None:
    claimed: list[int] = []

    async def take(reader: Any) -> Any:
        if len(claimed) == 3:
            raise StopAsyncIteration
        claimed.append(-reader.number)
        return reader.number

    for kind in (EventStream, EventBatches):
        claimed.clear()
        reader: Any = kind(5, lambda reader: claimed.append(reader.number), take)
        assert claimed == []
        assert [item async for item in reader] == [5, 5]
        assert claimed == [5, -5, -5]
