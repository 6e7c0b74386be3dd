"""The limits of handshakes, and where their RSA runs."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import pytest

from cryptoproto.exchange import handshakes
from cryptoproto.exchange.handshakes import Handshakes


def test_an_address_has_its_rate_with_a_burst_of_ten_seconds() -> None:
    limits = Handshakes(2.0)
    admitted = 0
    while (refusal := limits.begin("10.0.0.1", 0.0)) is None:
        limits.end("10.0.0.1")
        admitted += 1
    assert admitted == 20
    assert refusal == "too many handshakes from 10.0.0.1; try again later"
    assert limits.begin("10.0.0.2", 0.0) is None, "another address has its own rate"
    assert limits.begin("10.0.0.1", 0.4) is not None
    assert limits.begin("10.0.0.1", 0.5) is None
    assert limits.begin("10.0.0.1", 0.5) is not None
    for _ in range(20):
        assert limits.begin("10.0.0.1", 1e6) is None
    assert limits.begin("10.0.0.1", 1e6) is not None, "more than a burst is never saved"


def test_handshakes_under_way_are_limited_by_address_and_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "_MAX_UNDER_WAY", 5)
    monkeypatch.setattr(handshakes, "_MAX_UNDER_WAY_PER_ADDRESS", 3)
    limits = Handshakes(None)
    assert [limits.begin("10.0.0.1", 0.0) for _ in range(4)] == [
        None,
        None,
        None,
        "too many handshakes from 10.0.0.1; try again later",
    ]
    assert limits.begin("10.0.0.2", 0.0) is None
    assert limits.begin("", 0.0) is None, "a peer without an address counts in the total only"
    assert limits.begin("10.0.0.3", 0.0) == "too many handshakes are under way; try again later"
    limits.end("")
    limits.end("10.0.0.1")
    assert limits.begin("10.0.0.1", 0.0) is None


def test_without_a_rate_only_those_under_way_are_limited() -> None:
    limits = Handshakes(None)
    for _ in range(3000):
        assert limits.begin("10.0.0.1", 0.0) is None
        limits.end("10.0.0.1")


def test_a_bounded_number_of_addresses_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "_MAX_ADDRESSES", 100)
    limits = Handshakes(0.1)
    assert limits.begin("busy", 0.0) is None
    for number in range(1000):
        assert limits.begin(f"address {number}", float(number)) is None
        limits.end(f"address {number}")
        assert len(limits._addresses) <= 100
    limits.end("busy")
    assert limits.begin("address 999", 1000.0) is not None, "the newest are remembered"


def test_later_hellos_have_higher_numbers() -> None:
    limits = Handshakes(None)
    assert limits.next_number() < limits.next_number()


async def test_rsa_runs_in_a_thread_once_started_and_its_result_comes_to_the_loop() -> None:
    limits = Handshakes(None)
    here = threading.get_ident()
    results: asyncio.Queue[tuple[int, int]] = asyncio.Queue()

    def then(done: Future[int]) -> None:
        results.put_nowait((done.result(), threading.get_ident()))

    limits.run(threading.get_ident, then)
    assert results.get_nowait() == (here, here), "before the start it runs at once"
    limits.start()
    limits.run(threading.get_ident, then)
    thread, then_in = await results.get()
    assert thread != here
    assert then_in == here
    limits.stop()
    limits.stop()
    limits.run(threading.get_ident, then)
    assert results.get_nowait() == (here, here)


async def test_an_error_of_the_work_is_in_its_result() -> None:
    limits = Handshakes(None)
    errors: list[BaseException | None] = []

    def fail() -> None:
        raise ValueError("no")

    limits.run(fail, lambda done: errors.append(done.exception()))
    assert isinstance(errors[0], ValueError)


async def test_stopping_drops_work_that_has_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: None)
    limits = Handshakes(None)
    limits.start()
    free, begun = threading.Event(), threading.Event()
    called: list[str] = []

    def first() -> None:
        begun.set()
        free.wait(20)

    limits.run(first, lambda _: called.append("first"))
    waiting: list[Future[None]] = []
    limits.run(lambda: None, waiting.append)
    assert begun.wait(20)
    threads = limits._threads
    assert threads is not None
    threads.shutdown(wait=False, cancel_futures=True)
    free.set()
    limits.stop()
    await asyncio.sleep(0)
    assert called == ["first"]
    assert waiting == []
