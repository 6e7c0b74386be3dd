"""The commands of operators, on a gateway in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from cryptoproto.cli import gateway_operations
from cryptoproto.gateway import GatewayClient
from cryptoproto.sync.exchange import Exchange
from tests.support.command_line import Shell, run, start
from tests.support.nats_server import nats_server


@pytest.fixture
def desk(shell: Shell, venue: Exchange, tmp_path: Path) -> Iterator[Shell]:
    """A shell beside a running gateway, on which the strategy mm1 has an open order."""
    folder = tmp_path / "nats"
    folder.mkdir()
    with nats_server(folder) as nats:
        shell.environment["CRYPTOPROTO_NATS"] = nats.url
        environment = {name: value for name, value in shell.environment.items() if value is not None}
        with start("gateway", "run", "--json", cwd=shell.folder, env=environment):
            asyncio.run(trade(nats.url))
            yield shell


async def trade(url: str) -> None:
    async with GatewayClient(url, client_id="alice", strategy="mm1") as client:
        await client.place("BTC_USD", "buy", amount="1", price="100", timeout=30, wait=True)


def test_status_for_programs_and_people(desk: Shell) -> None:
    (status,) = desk("gateway", "status", "--json").lines
    assert status["state"] == "live"
    assert status["strategies"]["mm1"]["open_orders"] == 1
    shown = desk("gateway", "status").out
    assert "fence 1" in shown
    assert "mm1" in shown
    assert "no limits" in shown


def test_limits_are_changed_and_removed(desk: Shell) -> None:
    result = desk(
        "gateway", "limits", "mm1", "--max-open-orders", "3", "--max-open-value", "USD=1000",
        "--max-orders-per-second", "5", "--price-band", "0.05", "--json",
    )  # fmt: skip
    assert result.lines[0]["limits"] == {
        "max_orders_per_second": 5, "max_open_orders": 3, "max_open_value": {"USD": "1000"}, "price_band": "0.05",
    }  # fmt: skip
    assert (
        desk("gateway", "limits", "mm1", "--remove", "price-band").out.strip()
        == "mm1: 5 orders per second, 3 open orders, open value 1000 USD"
    )
    assert "price band 0.1" in desk("gateway", "limits", "mm1", "--price-band", "0.1").out
    for options, words in (
        (("--max-open-value", "1000"), "currency=amount"),
        (("--max-open-orders", "0"), "max_open_orders"),
        (("--remove", "colour"), "no limit 'colour'"),
    ):
        result = desk("gateway", "limits", "mm1", *options)
        assert result.code == 2
        assert words in result.err


def test_a_strategy_is_killed_and_revived(desk: Shell) -> None:
    (killed,) = desk("gateway", "kill", "mm1", "--json").lines
    assert killed == {"strategy": "mm1", "cancelled": 1, "not_cancelled": 0}
    assert "mm1 is killed; 0 orders cancelled" in desk("gateway", "kill", "mm1").out
    assert "killed" in desk("gateway", "status").out
    assert desk("gateway", "revive", "mm1").code == 0
    assert "active" in desk("gateway", "status").out
    result = desk("gateway", "kill", "other")
    assert result.code == 2
    assert "no strategy 'other'; known are: mm1" in result.err


def test_a_handover_without_a_standby_gives_a_higher_fence(desk: Shell) -> None:
    before = desk("gateway", "status", "--json").lines[0]["fence"]
    assert desk("gateway", "handover").code == 0
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        result = desk("gateway", "status", "--json")
        if result.code == 0 and result.lines[0]["fence"] > before:
            return
    pytest.fail("nobody owns the session")


def test_an_operation_that_is_stopped_says_that_its_outcome_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None:
            pass

        async def kill(self, strategy: str) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.Event().wait()

    monkeypatch.setattr(gateway_operations, "_operator", lambda **_: Silent())
    result = run("gateway", "kill", "mm1", "--client-id", "alice")
    assert result.code == 130
    assert "the request was sent, but the command was stopped before its answer came; see: cryptoproto gateway" in (
        " ".join(result.err.split())
    )
