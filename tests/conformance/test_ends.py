"""The script's end of a connection: what it keeps, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from cryptoproto.conformance.ends import MarketEnd
from cryptoproto.transport import Closed, MemoryLink, memory_pair
from cryptoproto.wire import market_frame, market_hello
from tests.support.links import Recorder

pytestmark = pytest.mark.usefixtures("clean_loop")


def linked() -> tuple[MarketEnd, MemoryLink]:
    end = MarketEnd()
    return end, memory_pair(end, Recorder())[1]


async def test_market_data() -> None:
    end, there = linked()
    there.send(market_hello())
    there.send(market_frame(b'{"@type":"OrderBookAgg"}'))
    there.send(b"\x00")
    there.send_text("hello")
    seen = [str(await end.next(1)) for _ in range(4)]
    assert seen[:2] == ["version 1", "market OrderBookAgg"]
    assert seen[2].startswith('unreadable "1 bytes: truncated')
    assert seen[3] == "text hello"
    await end.finish()


async def test_a_hello_that_cannot_be_read() -> None:
    end, there = linked()
    there.send(b"")
    assert str(await end.next(1)).startswith("unreadable")
    await end.finish()


async def test_nothing_within_the_time() -> None:
    end, _ = linked()
    assert await end.next(0) is None
    assert not await end.sign_of_life(0)
    await end.finish()


async def test_a_sign_of_life() -> None:
    end, there = linked()
    waiting = asyncio.ensure_future(end.sign_of_life(5))
    await asyncio.sleep(0)
    there.ping()
    assert await waiting
    await end.finish()


@pytest.mark.parametrize(
    ("closed", "shown"),
    [
        (Closed(4001, "why"), "close 4001 why"),
        (Closed(None, ""), "lost"),
        (Closed(None, "", "no UTF-8"), 'unreadable "no UTF-8"'),
    ],
)
async def test_ends_of_a_connection(closed: Closed, shown: str) -> None:
    end = MarketEnd()
    end.on_closed(closed)
    assert end.gone
    assert str(await end.next(1)) == shown


async def test_what_nobody_looks_at_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cryptoproto.conformance.ends._MOST_KEPT", 3)
    end, there = linked()
    for _ in range(5):
        there.send_text("flood")
    while not end.gone:  # noqa: ASYNC110 - it has no event for it
        await asyncio.sleep(0)
    assert [str(await end.next(0)) for _ in range(3)] == ["text flood"] * 3


async def test_an_end_that_was_never_opened() -> None:
    end = MarketEnd()
    with pytest.raises(RuntimeError, match="not open"):
        end.close(1000)
    await end.finish()
