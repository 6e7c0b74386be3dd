"""The pytest plugin: an exchange of one's own and a client on it, as fixtures.

A module of its own beside the package, because pytest imports it in every project of the environment, and the package
would take a third of a second; what does the work is imported when a fixture is first used.
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
    """The RSA key of every client that the fixtures make; made once, because it takes a while."""
    from cryptoproto.testing import client_key

    return client_key()


@pytest.fixture
def exchange_options() -> Mapping[str, Any]:
    """Options of the exchange; override it for other ones: ``return {"rate_limit": 10}``."""
    return {}


@pytest.fixture
def trading_balances() -> Mapping[str, Any]:
    """What each client's account is opened with; override it for another amount."""
    from cryptoproto.testing import BALANCES

    return BALANCES


@async_fixture
async def exchange(_event_loop_plugin: None, exchange_options: Mapping[str, Any]) -> AsyncIterator[Exchange]:
    """A running exchange on loopback, with no clients: a new one for each test."""
    from cryptoproto.testing import new_exchange

    async with new_exchange(exchange_options) as running:
        yield running


@async_fixture
async def make_trading_client(
    exchange: Exchange, trading_key: cp.PrivateKey, trading_balances: Mapping[str, Any]
) -> AsyncIterator[ClientMaker]:
    """Further clients, each with an account of its own: call it with a client id, and await the client.

    Takes ``balances={"USD": "5"}`` and every option of the client. They are closed after the test.
    """
    from cryptoproto.testing import ClientMaker

    async with ClientMaker(exchange, trading_key, trading_balances) as maker:
        yield maker


@async_fixture
async def trading_client(make_trading_client: ClientMaker) -> cp.Client:
    """A client with an account full of money, connected to the exchange as ``"trader"``."""
    return await make_trading_client("trader")
