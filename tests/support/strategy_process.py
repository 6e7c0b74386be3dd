"""A strategy of a gateway in its own process, to be killed: as ``tests/support/client_process.py``.

``python -m tests.support.strategy_process FOLDER``. Each line on the standard input, ``nats_url name seed last``,
starts one. It handles its events in the transactions of its store.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import cryptoproto as cp
from cryptoproto.gateway import GatewayClient
from cryptoproto.gateway.strategy_ids import strategy_ids
from tests.support.client_process import Victim
from tests.support.lives import fork_for_each_line

PAUSE_S = 0.02


class Strategy(Victim):
    has_number = False
    cancels = 1.0
    cancels_all = 0.0  # as many cancels, which the log knows by their orders
    prepares = 0.0  # the owner of the session signs

    async def trade(self, client: Any) -> None:
        async for state in client.states():
            if state.state is cp.State.LIVE:
                break
        if not self.has_number:  # one generator for all traders: two could make the same id
            self.ids, self.has_number = strategy_ids(client.number), True
        await super().trade(client)

    async def ask(self, kind: str, number: int | None, call: Any) -> Any:
        await asyncio.sleep(self.choice.uniform(0, PAUSE_S))  # the machine has more to do
        return await super().ask(kind, number, call)


def main() -> None:
    (folder,) = sys.argv[1:]

    async def live(nats_url: str, name: str, seed: str, last: str) -> None:
        strategy = Strategy(folder, "transaction", int(seed))
        client = GatewayClient(nats_url, client_id="alice", strategy=name, store=strategy.store)
        await strategy.use(client, int(last))

    fork_for_each_line(live)


if __name__ == "__main__":
    main()
