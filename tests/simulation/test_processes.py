"""A process that is stopped stands still, and goes on where it was."""

from __future__ import annotations

import asyncio

from tests.support.simulation.event_loop import run
from tests.support.simulation.processes import SimulatedProcess, clock


def test_tasks_and_timers_wait_and_then_come_in_order() -> None:
    done: list[str] = []

    async def world() -> None:
        loop, process = asyncio.get_running_loop(), SimulatedProcess()

        async def ticks() -> None:
            for number in range(3):
                await asyncio.sleep(1)
                done.append(f"tick {number} at {loop.time():g}")

        task = loop.create_task(ticks(), context=process.context)
        cancelled = process.inside(lambda: loop.call_later(2, done.append, "never"))
        process.inside(lambda: loop.call_later(3, done.append, "timer"))
        await asyncio.sleep(1.5)
        process.stop()
        await asyncio.sleep(8.5)
        assert len(done) == 1
        cancelled.cancel()  # it is due, and waits
        process.go_on()
        await task

    run(world)
    assert done == ["tick 0 at 1", "timer", "tick 1 at 10", "tick 2 at 11"]


def test_what_it_is_sending_leaves_when_it_goes_on() -> None:
    sent: list[str] = []

    async def world() -> None:
        process = SimulatedProcess()

        def send(peer: str, what: str) -> bool:
            process.send(peer, lambda: sent.append(what))
            return process.is_stopped

        process.stop_at("nats", skipped=1, sends=False)
        assert not send("exchange", "a")
        assert not send("nats", "b")
        assert send("nats", "late c")
        assert process.stopped.is_set()
        assert send("exchange", "late d")
        assert sent == ["a", "b"]
        process.go_on()
        assert sent == ["a", "b", "late c", "late d"]
        assert not send("nats", "e")
        process.stop_at("nats", skipped=0, sends=True)
        assert send("nats", "the last one")
        assert sent[-2:] == ["e", "the last one"]

    run(world)


def test_it_stops_between_two_steps_of_its_work() -> None:
    done: list[str] = []

    async def world() -> None:
        loop, process = asyncio.get_running_loop(), SimulatedProcess()

        async def steps() -> None:
            process.on_acknowledged()
            for number in range(4):
                done.append(f"step {number}")
                await asyncio.sleep(0)

        process.stop_after(2)
        task = loop.create_task(steps(), context=process.context)
        await process.stopped.wait()
        assert done == ["step 0", "step 1", "step 2"]
        process.go_on()
        await task

    run(world)
    assert done[3:] == ["step 3"]


def test_each_process_has_its_clock() -> None:
    async def world() -> None:
        process = SimulatedProcess(rate=1.1, offset=50.0)
        await asyncio.sleep(10)
        assert clock() == 10
        assert process.clock() == process.inside(clock) == 61

    run(world)
