"""``bench``: a short run gives every row."""

from __future__ import annotations

import json
import sys

import pytest

import cryptoproto as cp
from cryptoproto.sync.exchange import Exchange
from tests.support.command_line import Shell, run


def test_every_row_has_its_percentiles() -> None:
    result = run("bench", "--count", "5", "--json")
    assert result.code == 0, result.err
    (rows,) = result.lines
    assert len(rows) == 6
    assert all(0 < row["p50"] <= row["p99"] <= row["max"] for row in rows)


def test_it_measures_another_exchange_and_shows_a_table(shell: Shell, venue: Exchange) -> None:
    shown = shell("bench", "--count", "2")
    assert shown.code == 0, shown.err
    assert f"Measuring at {venue.url}: the orders are real." in shown.err
    assert shown.out.startswith("Milliseconds over 2 each"), "no empty line of a progress bar"
    assert "V5 order until acknowledged" in shown.out
    assert "The distributions have the same axis" in shown.out


def test_an_account_without_money_is_an_error(shell: Shell, venue: Exchange, alice_key: cp.PrivateKey) -> None:
    venue.register("poor", alice_key.public_key, {"BTC": "1"})
    refused = shell("bench", "--count", "1", "--client-id", "poor", "--json")
    assert refused.code == 1
    assert json.loads(refused.err)["message"].startswith("not enough USD")


def test_a_local_exchange_that_does_not_start(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    refused = shell("bench", "--count", "1")
    assert refused.code == 2
    assert "the local exchange did not start" in refused.err
