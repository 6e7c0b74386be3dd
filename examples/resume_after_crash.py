"""A bot that is killed in the middle of its work continues exactly where it was.

python examples/resume_after_crash.py

The bot runs in its own process, writes each fill into a table in its store, and is killed (SIGKILL) after some of them.
The next one continues. Each fill is in the table once, because the fill and the position are committed together.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import cryptoproto as cp
from cryptoproto.exchange import Exchange

PAIR = "BTC_USD"
FILLS = 60


async def bot(url: str, folder: Path) -> None:
    """Write every fill into the table, and its transaction id to standard output."""
    store = cp.SqliteStore(folder / "bot.db")
    async with cp.Client(
        url,
        client_id="bot",
        private_key=cp.PrivateKey.load(folder / "bot.pem"),
        server_key=cp.PublicKey.load(folder / "exchange.pub"),
        store=store,
    ) as client:
        with store.transaction() as db:
            db.execute("CREATE TABLE IF NOT EXISTS fills (transaction_id INTEGER, amount TEXT)")
        async for event in client.events():
            if isinstance(event.message, cp.OwnTrade):
                with store.transaction() as db:
                    db.execute("INSERT INTO fills VALUES (?, ?)", (event.transaction_id, str(event.message.amount)))
                    (written,) = db.execute("SELECT count(*) FROM fills").fetchone()
                print(event.transaction_id, flush=True)
                if written == FILLS:
                    break
                await asyncio.sleep(0.01)  # other work


async def run_and_kill(url: str, folder: Path, *, after: int) -> int:
    """Run the bot, kill it after so many fills, and return how many it has reported."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, url, str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    said = 0
    while said < after and await process.stdout.readline():
        said += 1
    with contextlib.suppress(ProcessLookupError):  # it may have just ended by itself
        process.kill()
    await process.wait()
    return said


async def main() -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        key = cp.PrivateKey.generate()
        key.save(folder / "bot.pem")
        async with Exchange() as exchange:
            exchange.public_key.save(folder / "exchange.pub")
            exchange.register("bot", key.public_key, balances={"USD": "1000000"})
            exchange.register("other", key.public_key, balances={"BTC": "100"})
            async with (
                cp.Client(exchange.url, client_id="bot", private_key=key, server_key=exchange.public_key) as first,
                cp.Client(exchange.url, client_id="other", private_key=key, server_key=exchange.public_key) as other,
            ):
                await first.place(PAIR, cp.Side.BUY, amount=FILLS, price="1000")
                for _ in range(FILLS):
                    await other.place(PAIR, cp.Side.SELL, amount="1", price="1000")
            said = await run_and_kill(exchange.url, folder, after=FILLS // 3)
            print(f"killed after {said} fills")
            said = await run_and_kill(exchange.url, folder, after=FILLS)
            print(f"the next one wrote {said}")
        with sqlite3.connect(folder / "bot.db") as db:
            total, different = db.execute("SELECT count(*), count(DISTINCT transaction_id) FROM fills").fetchone()
        db.close()
        print(f"{total} fills in the table, {different} different, of {FILLS} in all")


if __name__ == "__main__":
    asyncio.run(bot(sys.argv[1], Path(sys.argv[2])) if len(sys.argv) > 1 else main())
