"""Snapshots are shared, fresh, and not made too often."""

from __future__ import annotations

import asyncio

import pytest

from cryptoproto.status.camera import Camera
from cryptoproto.status.snapshot import Snapshot
from tests.support.virtual_time import virtual


class Looks:
    """Makes numbered snapshots, and notes when."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self) -> Snapshot:
        self.times.append(asyncio.get_running_loop().time())
        return Snapshot(float(len(self.times)), {}, {})


@virtual
async def test_those_who_ask_at_the_same_time_share_a_snapshot() -> None:
    looks = Looks()
    camera = Camera(looks, 0.2)
    first, second = await asyncio.gather(camera.fresh(), camera.fresh())
    assert first is second
    assert looks.times == [0.0]


@virtual
async def test_a_snapshot_is_taken_after_it_was_asked_for_and_not_too_soon() -> None:
    looks = Looks()
    camera = Camera(looks, 0.2)
    for _ in range(3):
        await camera.fresh()
    assert looks.times == pytest.approx([0.0, 0.2, 0.4])
    await asyncio.sleep(5)
    assert len(looks.times) == 3, "nobody looks"
    await camera.fresh()
    assert looks.times[-1] == pytest.approx(5.4)


@virtual
async def test_one_who_leaves_does_not_take_the_snapshot_along() -> None:
    looks = Looks()
    camera = Camera(looks, 0.2)
    await camera.fresh()
    leaving, staying = asyncio.ensure_future(camera.fresh()), asyncio.ensure_future(camera.fresh())
    await asyncio.sleep(0.1)
    leaving.cancel()
    assert (await staying) is not None


@virtual
async def test_closing() -> None:
    camera = Camera(Looks(), 0.2)
    camera.close()
    assert await camera.fresh() is None
    camera = Camera(Looks(), 0.2)
    await camera.fresh()
    waiting = asyncio.ensure_future(camera.fresh())
    await asyncio.sleep(0)
    camera.close()
    camera.close()
    assert await waiting is None


@virtual
async def test_an_error_reaches_everybody_who_waits_and_the_next_look_is_another_chance() -> None:
    looks = Looks()

    def fail() -> Snapshot:
        if not looks.times:
            looks()
            raise ValueError("cannot look")
        return looks()

    camera = Camera(fail, 0.2)
    results = await asyncio.gather(camera.fresh(), camera.fresh(), return_exceptions=True)
    assert [str(result) for result in results] == ["cannot look"] * 2
    assert (await camera.fresh()) == Snapshot(2.0, {}, {})
