from __future__ import annotations

import asyncio

from cryptoproto.gateway.owner.command import CURRENT, Command


async def test_each_task_has_its_own_command() -> None:
    async def work(name: str) -> str:
        CURRENT.set(Command(name, "one"))
        await asyncio.sleep(0)
        return CURRENT.get().id

    assert list(await asyncio.gather(work("a"), work("b"))) == ["a", "b"]
