"""A client and its exchange, each in its own process, with the files that they come back to."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cryptoproto as cp
from tests.support.client_log import Log, Truth
from tests.support.journals import crash_copy
from tests.support.lives import DEADLINE_S, Lives

__all__ = ["Pair", "Route", "kept_port"]

_SIGNS_OF_LIFE: Final = 60  # lines of the log, more than a client writes that is about to end


@contextmanager
def kept_port() -> Iterator[int]:
    """A port to listen on, again and again, which nobody else is given while nobody listens on it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        if sys.platform != "linux":  # where nobody could listen on it
            holder.close()
        yield port


@dataclass(frozen=True)
class Route:
    """How the two reach each other.

    Attributes:
        port: the exchange's.
        url: where the client finds it: the exchange itself, or a proxy.
        silence: seconds without a sign of life after which each gives the connection up.
        tls: the folder of :func:`tests.support.certificates.self_signed`; ``None`` = without TLS.
    """

    port: int
    url: str
    silence: float = 10.0
    tls: Path | None = None


class Pair:
    """An exchange and its client, with the files that they come back to.

    Attributes:
        journal: the exchange's.
        exchange, bot: the processes.
        log: what the client says.
        kills: how many there were.
        choice: what chance decides.
    """

    def __init__(
        self, folder: Path, route: Route, exchange: Lives, bot: Lives, log: Log, choice: random.Random, words: str
    ) -> None:
        self.journal = folder / "exchange.db"
        self.exchange = exchange
        self.bot = bot
        self.log = log
        self.kills = 0
        self.choice = choice
        self._copies = folder / "copies"
        self._route = route
        self._words = words
        exchange.on_end = bot.on_end = self._on_end

    def _on_end(self, code: int) -> None:
        if code != -signal.SIGKILL:
            self.log.end(f"a process ended by itself with {code}")

    def expect_end(self, lives: Lives) -> None:
        """The end of this process is no failure, until it is started again."""
        lives.on_end = lambda _: None

    async def recovers(self, lives: Lives) -> bool:
        """Whether it goes on after what may have ended it; then its end would be a failure again."""
        here = len(self.log.lines) + _SIGNS_OF_LIFE
        async with asyncio.timeout(DEADLINE_S):
            while lives.pid is not None and len(self.log.lines) < here:  # noqa: ASYNC110 - another process does either
                await asyncio.sleep(0.005)
        if lives.pid is None:
            return False
        lives.on_end = self._on_end
        return True

    @classmethod
    @asynccontextmanager
    async def of(
        cls,
        folder: Path,
        route: Route,
        mode: str,
        resend: str,
        keys: dict[str, cp.PrivateKey],
        choice: random.Random,
        exchange_environment: Mapping[str, str] | None = None,
        bot_environment: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Pair]:
        """Both are running."""
        keys["alice"].save(folder / "alice.pem")
        for client_id in ("alice", "bob"):
            keys[client_id].public_key.save(folder / f"{client_id}.pub")
        files = [folder / name for name in ("exchange.db", "alice.pub", "bob.pub")]
        with Log.at(folder / "log") as log:
            async with Lives.of("tests.support.exchange_process", *files, environment=exchange_environment) as exchange:
                await exchange.begin(route.port, 1, route.silence, route.tls or "")
                (folder / "exchange.pub").write_text((await exchange.told())["public_key"])
                files = [folder / "alice.pem", folder / "exchange.pub", folder]
                async with Lives.of("tests.support.client_process", *files, environment=bot_environment) as bot:
                    pair = cls(folder, route, exchange, bot, log, choice, f"{mode} {resend}")
                    await pair.begin(bot)
                    yield pair

    async def begin(self, lives: Lives, *, last: int = 0, quiet: bool = False) -> None:
        """Start it on its files; a *quiet* exchange has no trading of its own."""
        lives.on_end = self._on_end
        seed = self.choice.getrandbits(32)
        route = self._route
        if lives is self.exchange:
            await lives.begin(route.port, 0 if quiet else 1 + seed, route.silence, route.tls or "")
        else:
            await lives.begin(route.url, self._words, seed, last, route.silence, route.tls or "")

    async def buried(self, victims: list[Lives]) -> None:
        for lives in victims:
            assert await lives.gone() == -signal.SIGKILL, "it ended by itself"
        self.kills += len(victims)

    async def settle(self) -> Truth:
        """Kill both a last time, and let the client hear of everything; what the journal says then."""
        self.exchange.strike()
        self.bot.strike()
        await self.buried([self.exchange, self.bot])
        before = Truth.in_journal(crash_copy(self.journal, self._copies))
        await self.begin(self.exchange, quiet=True)
        await self.begin(self.bot, last=before.ids[-1])
        assert await self.bot.gone() == 0
        await self.exchange.kill()
        after = Truth.in_journal(crash_copy(self.journal, self._copies))
        assert before == after, "what had happened was changed, or a process that asked for nothing has sent something"
        self.log.drain()
        return after
