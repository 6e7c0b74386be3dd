"""What the pytest fixtures ``exchange`` and ``trading_client`` use.

The fixtures are available if the package and pytest-asyncio are installed::

    async def test_my_bot(exchange, trading_client):
        await my_bot(trading_client)
        assert exchange.open_orders("trader").order_books
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, Self

from .client import Client
from .exchange import Exchange
from .keys import PrivateKey
from .messages import AmountLike

__all__ = ["BALANCES", "ClientMaker", "client_key", "new_exchange"]

BALANCES: Final[Mapping[str, AmountLike]] = {"USD": "1000000", "EUR": "1000000", "BTC": "100", "ETH": "1000"}
"""The opening balances of an account."""


@functools.cache
def client_key() -> PrivateKey:
    """The key of all clients in this process."""
    return PrivateKey.generate()


@functools.cache
def _exchange_key() -> PrivateKey:
    return PrivateKey.generate()


def new_exchange(options: Mapping[str, Any]) -> Exchange:
    """An exchange that has not been started; all exchanges of a process share one key."""
    return Exchange(**{"private_key": _exchange_key(), "book_interval": 0.001, **options})


class ClientMaker:
    """Makes clients of an exchange, each with its own account, and closes them at the end.

    Args:
        exchange: the exchange to connect to.
        key: the private key of every client.
        balances: the opening balances of each account, unless a call passes others.
    """

    def __init__(self, exchange: Exchange, key: PrivateKey, balances: Mapping[str, AmountLike]) -> None:
        self._exchange = exchange
        self._key = key
        self._balances = balances
        self._clients = AsyncExitStack()

    async def __call__(
        self, client_id: str, *, balances: Mapping[str, AmountLike] | None = None, **options: Any
    ) -> Client:
        """A connected client; *options* are those of :class:`~cryptoproto.Client`.

        A known client id keeps its account, so a bot can be stopped and started again.
        """
        self._exchange.register(client_id, self._key.public_key, self._balances if balances is None else balances)
        return await self._clients.enter_async_context(
            Client(
                self._exchange.url,
                client_id=client_id,
                private_key=self._key,
                server_key=self._exchange.public_key,
                **options,
            )
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._clients.aclose()
