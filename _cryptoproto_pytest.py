"""The pytest plugin: fixtures with an embedded exchange and a client that is connected to it.

This module stays outside the package: pytest imports it in every project, and importing the package takes 0.3 s.
What the fixtures need is imported when one is first used.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import cryptoproto as cp
    from cryptoproto.exchange import Exchange
    from cryptoproto.testing import ClientMaker

try:  # pytest imports it anyway where it is installed
    from pytest_asyncio import fixture as async_fixture
except ImportError:  # the fixtures say so where they are used
    async_fixture = pytest.fixture  # type: ignore[assignment]


@pytest.fixture
def _event_loop_plugin(request: pytest.FixtureRequest) -> None:
    if not request.config.pluginmanager.hasplugin("asyncio"):
        pytest.fail(
            "the fixtures of cryptoproto need pytest-asyncio: pip install 'cryptoproto[testing]', and don't disable it",
            pytrace=False,
        )


@pytest.fixture(scope="session")
def trading_key() -> cp.PrivateKey:
    """The RSA key of every client that the fixtures make; generated once, because that is slow."""
    from cryptoproto.testing import client_key

    return client_key()


@pytest.fixture
def exchange_options() -> Mapping[str, Any]:
    """Options of the exchange; override this fixture to change them: ``return {"rate_limit": 10}``."""
    return {}


@pytest.fixture
def trading_balances() -> Mapping[str, Any]:
    """The opening balances of each client; override this fixture to change them."""
    from cryptoproto.testing import BALANCES

    return BALANCES


@async_fixture
async def exchange(_event_loop_plugin: None, exchange_options: Mapping[str, Any]) -> AsyncIterator[Exchange]:
    """A running exchange on loopback without clients, new for each test."""
    from cryptoproto.testing import new_exchange

    async with new_exchange(exchange_options) as running:
        yield running


@async_fixture
async def make_trading_client(
    exchange: Exchange, trading_key: cp.PrivateKey, trading_balances: Mapping[str, Any]
) -> AsyncIterator[ClientMaker]:
    """A maker of more clients, each with its own account. Await ``make_trading_client("bob")``.

    Takes ``balances={"USD": "5"}`` and every option of the client. They are closed after the test.
    """
    from cryptoproto.testing import ClientMaker

    async with ClientMaker(exchange, trading_key, trading_balances) as maker:
        yield maker


@async_fixture
async def trading_client(make_trading_client: ClientMaker) -> cp.Client:
    """A funded client, connected to the exchange as ``"trader"``."""
    return await make_trading_client("trader")
