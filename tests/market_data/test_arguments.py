"""Feeds of profiles: the arguments that a profile gives, and what replaces them."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

import cryptoproto as cp
from cryptoproto import sync
from cryptoproto.exchange import Exchange
from cryptoproto.market_data import feed_arguments
from cryptoproto.market_data.link import FeedOptions
from tests.support.config import clear_environment, write_config


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    clear_environment(monkeypatch)
    text = """
        [profiles.paper]
        market_data_url = "ws://127.0.0.1:8401"
        transport = "websockets"
        ping_timeout = 7
        order_rate = 5
        """
    monkeypatch.setenv("CRYPTOPROTO_CONFIG", str(tmp_path / "config.toml"))
    return write_config(tmp_path / "config.toml", text)


def test_every_argument_of_a_feed_can_replace_a_setting() -> None:
    """A new argument of MarketData has to be added to FeedOverrides."""
    own = set(inspect.signature(cp.MarketData.__init__).parameters) - {"self", "options"}
    assert set(cp.FeedOverrides.__annotations__) == own | set(cp.FeedArguments.__annotations__)
    assert set(cp.FeedCall.__annotations__) == own | set(cp.FeedArguments.__annotations__)
    assert set(FeedOptions.__struct_fields__) == {"url"} | set(cp.FeedArguments.__annotations__)


def test_the_profile_gives_the_arguments_and_overrides_replace_them() -> None:
    profile = cp.Profile.load("paper")
    assert feed_arguments(profile) == {
        "url": "ws://127.0.0.1:8401",
        "transport": "websockets",
        "ping_timeout": 7.0,
    }
    assert feed_arguments(profile, url="ws://127.0.0.1:1", ping_timeout=None, pairs=["BTC_USD"]) == {
        "url": "ws://127.0.0.1:1",
        "transport": "websockets",
        "ping_timeout": None,
        "pairs": ["BTC_USD"],
    }


def test_an_address_that_is_missing_or_not_encrypted() -> None:
    with pytest.raises(cp.ConfigurationError, match="gives no market_data_url: set CRYPTOPROTO_MARKET_DATA_URL"):
        cp.MarketData.from_env()
    profile = cp.Profile.load("paper", market_data_url="ws://md.example.com")
    with pytest.raises(cp.ConfigurationError, match="use wss://"):
        feed_arguments(profile)
    assert feed_arguments(profile, insecure=True)["url"] == "ws://md.example.com"


async def test_feeds_of_a_profile_and_of_the_environment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Exchange(market_data_port=0) as exchange:
        monkeypatch.setenv("CRYPTOPROTO_MARKET_DATA_URL", exchange.market_data_url)
        async with cp.MarketData.from_profile("paper", path=path, pairs=["BTC_USD"]) as feed:
            await feed.wait_connected(timeout=10)
        async with cp.MarketData.from_env() as feed:
            await feed.wait_connected(timeout=10)
            assert exchange.market_data_url in repr(feed)


def test_feeds_without_await(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = sync.MarketData.from_profile("paper", path=path, url="ws://127.0.0.1:8402")
    assert "127.0.0.1:8402" in repr(feed)
    monkeypatch.setenv("CRYPTOPROTO_PROFILE", "paper")
    assert "127.0.0.1:8401" in repr(sync.MarketData.from_env())
