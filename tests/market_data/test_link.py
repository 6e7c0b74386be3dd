"""One connection to a market-data server, without the feed around it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import cryptoproto as cp
from cryptoproto.market_data import MarketUpdate
from cryptoproto.market_data.link import FeedLink, FeedOptions
from cryptoproto.transport import Closed
from cryptoproto.wire import MAX_FRAME_BYTES
from tests.support.scripted_feed import FeedPeer, FeedServer, StubbornServer, book, enabled, settle, trade
from tests.support.virtual_time import virtual

OPTIONS: dict[str, Any] = {
    "url": "ws://localhost", "ssl": None, "open_timeout": 10.0, "ping_interval": 4.0, "ping_timeout": 10.0,
    "max_queue": 10, "max_message_size": MAX_FRAME_BYTES, "insecure": False,
}  # fmt: skip


class Case:
    """A link to *server*, and what it reported."""

    def __init__(self, server: FeedServer, **options: Any) -> None:
        self.live = 0
        self.updates: list[MarketUpdate] = []
        self.errors: list[Exception] = []
        self.link = FeedLink(
            FeedOptions(**OPTIONS | {"transport": server} | options),
            on_live=self._on_live, on_update=self.updates.append, on_ended=self.errors.append,
        )  # fmt: skip
        self.running = asyncio.ensure_future(self.link.run())

    def _on_live(self) -> None:
        self.live += 1

    @property
    def error(self) -> Exception:
        """The one error that was reported."""
        (error,) = self.errors
        return error


@virtual
async def test_updates_are_typed_and_what_does_not_belong_here_is_unknown() -> None:
    server = FeedServer()
    case = Case(server)
    await settle()
    assert case.live == 1
    misplaced = cp.OrderNotFound(7)
    server.peer.say(book(), trade(), enabled("A_B"), {"@type": "New"}, misplaced)
    await settle()
    assert case.updates == [
        book(),
        trade(),
        enabled("A_B"),
        cp.Unknown("New", {"@type": "New"}),
        cp.Unknown("OrderNotFound", misplaced.payload),
    ]
    case.link.close(1.0)
    await case.running
    assert case.errors == [], "this end closed it"


@virtual
async def test_a_fault_that_the_transport_found_is_a_decode_error() -> None:
    server = FeedServer()
    case = Case(server)
    await settle()
    case.link.on_closed(Closed(1009, "", fault="a message of 2000000 bytes exceeds the limit"))
    assert isinstance(case.error, cp.DecodeError)
    assert "exceeds the limit" in str(case.error)
    server.links[0].abort()
    await case.running


@virtual
async def test_only_the_first_error_is_reported_and_nothing_after_it_is_read() -> None:
    server = FeedServer()
    case = Case(server)
    await settle()
    server.peer.link.send(b"nonsense")
    server.peer.say(book())
    server.peer.link.send_text("more nonsense")
    await case.running
    assert isinstance(case.error, cp.DecodeError)
    assert case.updates == []
    assert server.peer.closed is not None
    assert server.peer.closed.code == 1002


@virtual
async def test_a_close_while_connecting_aborts_the_connection_when_it_opens() -> None:
    server = FeedServer()
    case = Case(server)
    case.link.close(1.0)
    await case.running
    assert case.live == 0
    assert case.errors == []
    assert server.peer.closed is not None


@virtual
async def test_a_second_close_keeps_the_first_deadline() -> None:
    case = Case(StubbornServer())
    await settle()
    case.link.close(2.0)
    case.link.close(50.0)
    await case.running
    assert asyncio.get_running_loop().time() == 2.0


@virtual
async def test_an_opener_that_cannot_connect() -> None:
    server = FeedServer()
    server.refusal = OSError(111, "Connection refused")
    case = Case(server, url="wss://user:hunter2@example.com")
    await case.running
    assert isinstance(case.error, cp.ConnectionClosed)
    assert "cannot connect to wss://***@example.com: Connection refused" in str(case.error)
    assert case.error.__cause__ is server.refusal


@virtual
async def test_a_server_that_does_not_speak_is_given_up() -> None:
    case = Case(FeedServer(lambda peer: None), open_timeout=3.0)
    await case.running
    assert isinstance(case.error, cp.OpenTimeout)
    assert "ws://localhost did not send its first frame within 3 s" in str(case.error)


@virtual
async def test_another_version_names_both() -> None:
    case = Case(FeedServer(lambda peer: FeedPeer.hello(peer, 2)))
    await case.running
    assert isinstance(case.error, cp.UnsupportedVersion)
    assert str(case.error) == "ws://localhost speaks version 2 of market data; this client supports 1"


@virtual
async def test_silence_ends_the_connection() -> None:
    server = FeedServer()
    case = Case(server)
    await settle()
    server.peer.link.pause_reading()
    await case.running
    assert isinstance(case.error, cp.HeartbeatTimeout)
    assert "nothing was received from the feed for 10 s" in str(case.error)


@virtual
async def test_a_cancelled_link_is_aborted() -> None:
    server = FeedServer()
    case = Case(server)
    await settle()
    case.running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await case.running
    await settle()


@pytest.mark.parametrize("name", ["open_timeout", "ping_interval", "ping_timeout", "max_queue", "max_message_size"])
def test_numbers_that_are_not_positive(name: str) -> None:
    for value in (0, -1, "1", True, float("nan")):
        with pytest.raises(cp.ConfigurationError, match=f"{name}={value!r} must be a number greater than zero"):
            FeedOptions(**OPTIONS | {"transport": "auto", name: value})
